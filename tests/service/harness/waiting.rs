//! Waiting: for events and for conditions, with a deadline that says what was missed.

use std::time::Duration;

use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;
use vigia::domain::connection::{Health, Transport};
use vigia::domain::execution::State;
use vigia::domain::ids::AutomationId;
use vigia::telemetry::Event;

use super::{Stage, Trader};

/// Everything that a story waits for comes within this: the first where windows are shortened, the
/// second where they may be real.
const PATIENCE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(240)];
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl Stage {
    /// From now on only events that are yet to come count.
    pub fn mark(&mut self) {
        self.drain();
        self.mark = self.seen.len();
    }

    /// The events since the mark.
    pub fn events(&mut self) -> &[Event] {
        self.drain();
        &self.seen[self.mark..]
    }

    pub(super) fn drain(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.seen.push(event),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
                Err(TryRecvError::Lagged(missed)) => panic!("{missed} events were missed"),
            }
        }
    }

    /// Waits for the first event since the mark that `pick` takes.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience();
        let mut next = self.mark;
        loop {
            self.drain();
            while let Some(event) = self.seen.get(next) {
                next += 1;
                if let Some(found) = pick(event) {
                    return found;
                }
            }
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Ok(event)) => self.seen.push(event),
                Ok(Err(_)) => {}
                Err(_) => panic!("missed: {what}; since the mark:\n{}", self.told()),
            }
        }
    }

    /// Waits for an event that `wanted` accepts.
    pub async fn wait_until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) {
        self.wait_for(what, |event| wanted(event).then_some(()))
            .await;
    }

    /// Waits until a condition holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + patience();
        while !holds() {
            if Instant::now() > deadline {
                panic!("missed: {what}; since the mark:\n{}", self.told());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the service knows an account over this transport, in good health.
    pub async fn live_over(&mut self, trader: &Trader, transport: Transport) {
        let account = self.account(trader);
        let what = format!("{} is live over {transport}", trader.name);
        self.until(&what, || {
            let view = account.view.load();
            view.health == Health::Live && view.transport == transport
        })
        .await;
    }

    /// Waits until the service has taken over a price.
    pub async fn price_seen(&mut self, usd: f64) {
        let network = std::sync::Arc::clone(&self.app().shared.networks[super::NETWORK]);
        let clock = self.clock;
        self.until(&format!("the price {usd} is known"), || {
            let seen = network.price.seen(clock.mono());
            seen.is_some_and(|seen| (seen.price.usd() - usd).abs() < 0.01)
        })
        .await;
    }

    pub async fn done(&mut self, trader: &Trader) {
        let id = trader.id.clone();
        let what = format!("an execution of {} is done", trader.name);
        self.wait_until(
            &what,
            move |event| matches!(event, Event::Done { account, .. } if account.id == id),
        )
        .await;
    }

    /// Waits for a failure of the account and gives its reason.
    pub async fn failed(&mut self, trader: &Trader) -> String {
        let id = trader.id.clone();
        let what = format!("an execution of {} fails", trader.name);
        self.wait_for(&what, move |event| match event {
            Event::Failed {
                account, reason, ..
            } if account.id == id => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for an alarm of this name about the account.
    pub async fn alarm(&mut self, trader: &Trader, name: &str) {
        let id = trader.id.clone();
        let message = format!("alarm {name} of {}", trader.name);
        self.wait_until(&message, |event| {
            matches!(event, Event::Alarm { account, what, .. } if account.id == id && *what == name)
        })
        .await;
    }

    pub async fn died(&mut self, name: &str) -> String {
        self.wait_for(&format!("{name} dies"), |event| match event {
            Event::ActorDied { actor, cause } if actor == name => Some(cause.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until an actor was started again, so many times since the mark.
    pub async fn restarted(&mut self, name: &str, times: usize) {
        let mut left = times;
        self.wait_for(&format!("{name} is restarted {times} times"), |event| {
            let this = matches!(event, Event::ActorRestarted { actor, .. } if actor == name);
            left -= usize::from(this);
            (left == 0).then_some(())
        })
        .await;
    }

    /// Waits for a change of transport and gives its cause and gap.
    pub async fn switched(&mut self, trader: &Trader, wanted: Transport) -> (&'static str, u64) {
        let id = trader.id.clone();
        self.wait_for(
            &format!("{} switches to {wanted}", trader.name),
            |event| match event {
                Event::TransportSwitched {
                    account,
                    to,
                    gap_ms,
                    cause,
                    ..
                } if account.id == id && *to == wanted => Some((*cause, *gap_ms)),
                _ => None,
            },
        )
        .await
    }

    /// Waits for a difference between book and exchange in this field, and gives both values.
    pub async fn drift(&mut self, trader: &Trader, wanted: &str) -> (String, String) {
        let id = trader.id.clone();
        self.wait_for(&format!("drift of {wanted}"), |event| match event {
            Event::BookDrift {
                account,
                field,
                had,
                has,
                ..
            } if account.id == id && *field == wanted => Some((had.clone(), has.clone())),
            _ => None,
        })
        .await
    }

    /// Waits until the latest execution of an account stands so.
    pub async fn stands(&mut self, trader: &Trader, wanted: State) {
        let deadline = Instant::now() + patience();
        while self.states(trader).await.last() != Some(&wanted) {
            if Instant::now() > deadline {
                let states = self.states(trader).await;
                panic!(
                    "missed: {wanted}; {} has {states:?}:\n{}",
                    trader.name,
                    self.told()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How often a guard has fired since the mark.
    pub fn fired(&mut self, guard: &AutomationId) -> usize {
        let of = |event: &&Event| matches!(event, Event::Triggered { automation, .. } if automation == guard);
        self.events().iter().filter(of).count()
    }

    fn told(&mut self) -> String {
        let lines = self.events().iter().map(|event| format!("  {event:?}\n"));
        lines.collect()
    }
}

fn patience() -> Duration {
    let [shortened, real] = PATIENCE;
    match std::env::var_os("VIGIA_LONG") {
        Some(_) => real,
        None => shortened,
    }
}
