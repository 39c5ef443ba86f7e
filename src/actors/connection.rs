//! `Connection`: one account at the exchange: its book, its socket, and the readings that take over
//! when the socket is lost.
//!
//! - Owner: `Supervisor`, one for each account. Set aside when it dies too often.
//! - Owns: the book, the account's socket, its automations, the account's `View`.
//! - In: socket events, `Learned` from executors, `Plans`, `ExecutionEnded`, `FeedStarted`. Out:
//!   `BookChanged`, `ExecutionEnded` and `FeedStarted` to its automations.
//! - Bound: one reading of the book at a time, within the key's rate budget; 1024 frames wait.
//! - Death: book and socket are lost and read again; automations end and start with it; running
//!   executions do not.
//! - Stop: socket and automations end; nothing is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::automation::{Automation, AutomationPlan, BookChanged};
use super::shared::{Account, Row, Shared, View};
use super::socket_stream::{FromSocket, events};
use crate::domain::arming::Ended;
use crate::domain::book::{Book, ReadOutcome};
use crate::domain::connection::{
    Effect, Event as LinkEvent, Health, Link, Refusal, Sight, is_near,
};
use crate::domain::ids::{AutomationId, PositionId};
use crate::domain::position::Position;
use crate::domain::restart::{Tenure, Verdict};
use crate::domain::units::Sats;
use crate::exchange::{Class, ExchangeError, Frame, Socket, SocketEvent, SocketPlan, Spend, Topic};
use crate::supervision::{Child, ChildExit, OwnerGone, Ward, failpoint, parent, start};
use crate::telemetry::Event;

/// How often state and nearness are looked at.
const BEAT: Duration = Duration::from_millis(500);
/// After an own command the book is read again this soon.
const AFTER_OWN_COMMAND: Duration = Duration::from_millis(200);

/// After a command was refused the book is read this soon.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The automations that the account should have now.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Plans(pub Vec<AutomationPlan>);

/// A new price feed knows no levels yet.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FeedStarted;

/// An execution of an automation of this account has ended.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct ExecutionEnded {
    /// The automation.
    pub automation: AutomationId,
    /// How.
    pub ended: Ended,
}

/// What an executor learned from the exchange.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Learned {
    /// The answer to margin added: the trade as it is now.
    MarginAdded(Position, Sats),
    /// The answer to a close.
    Closed(PositionId),
    /// A reading of all running trades.
    Running(Vec<Position>, Duration),
    /// A command was refused for its credentials, rights or region.
    Refused(Refusal),
}

struct Automated {
    plan: AutomationPlan,
    ward: Ward,
    child: Option<Child<Automation>>,
}

/// See the module's documentation.
pub struct Connection {
    shared: Arc<Shared>,
    account: Arc<Account>,
    book: Book,
    link: Link,
    health: Health,
    started_at: Duration,
    balance: Option<Sats>,
    balance_at: Option<Duration>,
    reading_since: Option<Duration>,
    read_at: Duration,
    read_timer: Option<SpawnHandle>,
    socket: Option<Socket>,
    socket_number: u64,
    automations: HashMap<AutomationId, Automated>,
}

impl Connection {
    /// A connection that knows nothing yet of its account but what it should watch.
    pub fn new(shared: Arc<Shared>, account: Arc<Account>, plans: Vec<AutomationPlan>) -> Self {
        let automated = |plan: AutomationPlan| {
            let ward = Ward::new(Tenure::Replaceable);
            (
                plan.id.clone(),
                Automated {
                    plan,
                    ward,
                    child: None,
                },
            )
        };
        Self {
            shared,
            account,
            book: Book::default(),
            link: Link::default(),
            health: Health::Starting,
            started_at: Duration::ZERO,
            balance: None,
            balance_at: None,
            reading_since: None,
            read_at: Duration::ZERO,
            read_timer: None,
            socket: None,
            socket_number: 0,
            automations: plans.into_iter().map(automated).collect(),
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock.mono()
    }

    fn step(&mut self, event: LinkEvent, context: &mut Context<Self>) {
        let (now, roll) = (self.now(), self.shared.clock.roll());
        // Both at once, where a reading that HTTP waited for also completes the sync of a socket.
        let mut switches = vec![];
        for effect in self.link.step(event, now, roll, &self.shared.tuning.link) {
            match effect {
                Effect::ReadNow => self.read_in(Duration::ZERO, context),
                Effect::ReadIn(pause) => self.read_in(pause, context),
                Effect::ConnectIn(pause) => {
                    context.run_later(pause, Self::connect);
                }
                Effect::DropSocket => self.forget_socket(),
                Effect::Switched {
                    from,
                    to,
                    gap,
                    cause,
                } => {
                    let gap_ms = gap.as_millis() as u64;
                    let account = self.account.tag.clone();
                    switches.push(Event::TransportSwitched {
                        account,
                        from,
                        to,
                        gap_ms,
                        cause,
                    });
                }
            }
        }
        // The view first: whoever hears of the switch finds it there.
        self.report();
        for switched in switches {
            self.shared.events.emit(switched);
        }
    }

    fn read_in(&mut self, pause: Duration, context: &mut Context<Self>) {
        self.read_at = self.now() + pause;
        if let Some(timer) = self.read_timer.take() {
            context.cancel_future(timer);
        }
        if pause.is_zero() {
            self.read(context);
        } else {
            self.read_timer = Some(context.run_later(pause, Self::read));
        }
    }

    fn read(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        if self.reading_since.is_some() {
            // Its answer schedules the next one; an earlier wish is kept by `read_at`.
            return;
        }
        if let Err(free_at) = self.account.rate.spend(Spend::Read, now) {
            let pause = free_at.saturating_sub(now).max(Duration::from_millis(1));
            self.read_timer = Some(context.run_later(pause, Self::read));
            return;
        }
        self.reading_since = Some(now);
        let account = Arc::clone(&self.account);
        let answer = async move {
            failpoint::linger("connection.reading", &account.tag.name).await;
            account.network.rest.running(&account.credentials).await
        };
        let taken = move |answer, connection: &mut Self, context: &mut Context<Self>| {
            connection.reading_since = None;
            connection.take_reading(answer, now, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    fn take_reading(
        &mut self,
        answer: Result<Vec<Position>, ExchangeError>,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        match answer {
            Ok(running) => {
                // Asked for while this one was under way: one more, when it was asked for.
                let wished_at = self.read_at;
                self.apply_reading(running, requested_at, context);
                let (now, period) = (self.now(), self.read_period());
                let pause = if wished_at > requested_at {
                    period.min(wished_at.saturating_sub(now))
                } else {
                    period
                };
                self.read_in(pause, context);
                self.step(LinkEvent::Read { requested_at }, context);
                self.publish();
                self.read_balance(context);
            }
            Err(error) => self.reading_failed(&error, context),
        }
    }

    fn reading_failed(&mut self, error: &ExchangeError, context: &mut Context<Self>) {
        let tag = &self.account.tag;
        tracing::warn!(event = "reading.failed", account_id = %tag.id, account_name = %tag.name, %error);
        if let Class::Retryable { after: Some(after) } = error.class {
            self.account.rate.silence(self.now() + after);
        }
        let event = refusal_of(error).map_or(LinkEvent::ReadFailed, LinkEvent::Refused);
        self.step(event, context);
    }

    fn apply_reading(
        &mut self,
        running: Vec<Position>,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        let outcome = self.book.read(running, requested_at);
        let ReadOutcome {
            drift,
            missed_event,
            read_again_at,
            ..
        } = outcome;
        for drift in drift {
            self.shared.events.emit(Event::BookDrift {
                account: self.account.tag.clone(),
                position: drift.position,
                field: drift.field,
                had: drift.had,
                has: drift.has,
            });
        }
        if missed_event {
            self.step(LinkEvent::SocketDeaf, context);
        }
        if let Some(at) = read_again_at {
            let pause = at.saturating_sub(self.now());
            context.run_later(pause, |connection, context| {
                connection.read_in(Duration::ZERO, context);
            });
        }
    }

    fn read_balance(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        let due = self
            .balance_at
            .is_none_or(|at| now >= at + self.shared.tuning.link.read_far);
        if !due || self.account.rate.spend(Spend::Read, now).is_err() {
            return;
        }
        let account = Arc::clone(&self.account);
        let answer = async move { account.network.rest.account(&account.credentials).await };
        let taken = move |answer, connection: &mut Self, _: &mut Context<Self>| {
            if let Ok(crate::exchange::AccountReading { balance }) = answer {
                connection.balance = Some(balance);
                connection.balance_at = Some(now);
                connection.publish();
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    /// Often near a trigger or liquidation, seldom far from both.
    fn read_period(&self) -> Duration {
        let windows = &self.shared.tuning.link;
        if self.book.is_dirty() || self.is_near() {
            windows.read_near
        } else {
            windows.read_far
        }
    }

    fn is_near(&self) -> bool {
        let Some(seen) = self.account.network.price.seen(self.now()) else {
            return self.book.rows().next().is_some();
        };
        self.book.rows().any(|(position, _)| {
            let levels: Vec<_> = self
                .automations
                .values()
                .map(|automated| automated.plan.rule.level(position))
                .collect();
            is_near(position, &levels, seen.price)
        })
    }

    fn connect(&mut self, context: &mut Context<Self>) {
        if self.link.has_socket() {
            return;
        }
        let now = self.now();
        let permit = match self.account.network.sockets.open(true, now) {
            Ok(permit) => permit,
            Err(free_at) => {
                context.run_later(free_at.saturating_sub(now), Self::connect);
                return;
            }
        };
        self.socket_number += 1;
        let plan = SocketPlan {
            credentials: Some(Arc::clone(&self.account.credentials)),
            topics: vec![Topic::IsolatedTrades],
        };
        let network = &self.account.network;
        let (socket, receiver) = Socket::open(
            &network.network,
            plan,
            network.exchange_clock().clone(),
            self.shared.tuning.stream,
            permit,
        );
        self.socket = Some(socket);
        context.add_stream(events(self.socket_number, receiver));
        self.step(LinkEvent::SocketOpening, context);
    }

    fn forget_socket(&mut self) {
        self.socket = None;
        // What the old socket still says is no news.
        self.socket_number += 1;
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        let stuck = self.shared.tuning.link.stuck;
        if self
            .reading_since
            .is_some_and(|since| self.now() >= since + stuck)
        {
            let tag = &self.account.tag;
            tracing::error!(
                event = "actor.stuck", account_id = %tag.id, account_name = %tag.name,
                "a reading neither came back nor failed"
            );
            context.stop();
            return;
        }
        self.report();
        let sooner = self.now() + self.shared.tuning.link.read_near;
        if self.health == Health::Live && self.read_at > sooner && self.is_near() {
            self.read_in(Duration::ZERO, context);
        }
        context.run_later(BEAT, Self::beat);
    }

    fn current_health(&self) -> Health {
        let (now, freshness) = (self.now(), &self.shared.tuning.freshness);
        let price = &self.account.network.price;
        let sight = match price.usable(now, freshness) {
            Some(_) => Sight::Clear,
            None if now < self.started_at + freshness.blind && price.seen(now).is_none() => {
                Sight::Awaited
            }
            None => Sight::Lost,
        };
        self.link.health(sight, now, &self.shared.tuning.link)
    }

    fn report(&mut self) {
        let (from, to) = (self.health, self.current_health());
        let transport = self.link.transport();
        let shown = self.account.view.load();
        if from == to && shown.transport == transport && shown.switches == self.link.switches() {
            return;
        }
        self.health = to;
        self.publish_view();
        if from != to {
            let account = self.account.tag.clone();
            self.shared.events.emit(Event::ConnectionState {
                account,
                from,
                to,
                transport,
            });
        }
    }

    fn publish_view(&self) {
        let rows = self
            .book
            .rows()
            .map(|(position, read_at)| Row {
                position: position.clone(),
                read_at,
            })
            .collect();
        self.account.view.store(Arc::new(View {
            health: self.health,
            transport: self.link.transport(),
            switches: self.link.switches(),
            rows,
            balance: self.balance,
            read_at: self.link.read_at(),
        }));
    }

    fn publish(&self) {
        self.publish_view();
        for child in self
            .automations
            .values()
            .filter_map(|automated| automated.child.as_ref())
        {
            child.addr().do_send(BookChanged);
        }
    }

    fn start_automation(&mut self, id: &AutomationId, context: &mut Context<Self>) {
        let now = self.now();
        let Some(automated) = self.automations.get_mut(id) else {
            return;
        };
        let generation = automated.ward.starts(now);
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.account));
        let plan = automated.plan.clone();
        let name = plan.id.as_str().to_owned();
        automated.child = Some(start(
            &self.shared.trading,
            name,
            generation,
            OwnerGone::End,
            parent(context),
            move |_| Automation::new(shared, account, plan),
        ));
        let actor = format!("automation/{id}");
        let restarts = automated.ward.restarts();
        self.shared.events.emit(if restarts == 0 {
            Event::ActorStarted { actor, generation }
        } else {
            Event::ActorRestarted { actor, restarts }
        });
    }

    fn end_automation(&mut self, id: &AutomationId) {
        if self.automations.remove(id).is_some() {
            tracing::info!(event = "actor.stopped", actor = format!("automation/{id}"));
        }
    }
}

/// What a refused request says of the whole account, if it does.
pub(super) fn refusal_of(error: &ExchangeError) -> Option<Refusal> {
    match error.class {
        Class::Unauthorized => Some(Refusal::Unauthorized),
        Class::Blocked => Some(Refusal::Blocked),
        _ => None,
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("connection.started", &self.account.tag.name);
        self.started_at = self.now();
        // What an earlier one knew of the account is not to be acted upon.
        self.publish_view();
        let ids: Vec<_> = self.automations.keys().cloned().collect();
        for id in ids {
            self.start_automation(&id, context);
        }
        self.read_in(Duration::ZERO, context);
        self.connect(context);
        self.beat(context);
    }
}

impl StreamHandler<FromSocket> for Connection {
    fn handle(&mut self, FromSocket(number, event): FromSocket, context: &mut Context<Self>) {
        if number != self.socket_number {
            return;
        }
        match event {
            SocketEvent::Ready => self.step(LinkEvent::SocketReady, context),
            SocketEvent::Frame(Frame::Trade { id, event }, at) => {
                if self.book.event(id, event, at) {
                    self.publish();
                }
                if self.book.is_dirty() {
                    self.read_in(Duration::ZERO, context);
                }
            }
            SocketEvent::Frame(..) => {}
            SocketEvent::Undecodable(detail) => {
                let tag = &self.account.tag;
                tracing::warn!(
                    event = "frame.undecodable", account_id = %tag.id, account_name = %tag.name, detail
                );
            }
            SocketEvent::Lost(cause, detail) => {
                self.forget_socket();
                let (actor, cause) = (
                    format!("connection/{}", self.account.tag.name),
                    cause.as_str(),
                );
                self.shared.events.emit(Event::SocketLost {
                    account: Some(self.account.tag.clone()),
                    actor,
                    cause,
                    detail,
                });
                self.step(LinkEvent::SocketLost(cause), context);
            }
        }
    }

    /// The end of a socket is no end of the connection.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Learned> for Connection {
    type Result = ();

    fn handle(&mut self, learned: Learned, context: &mut Context<Self>) {
        let now = self.now();
        match learned {
            Learned::MarginAdded(position, amount) => {
                self.book.own_answer(position, now);
                self.balance = self.balance.map(|balance| balance - amount);
            }
            Learned::Closed(id) => self.book.own_close(id, now),
            Learned::Running(running, requested_at) => {
                self.apply_reading(running, requested_at, context);
                self.publish();
                return;
            }
            // What a command was refused may be its own affair (a right the key lacks): a reading
            // tells whether the whole account is.
            Learned::Refused(_) => {
                if !matches!(self.health, Health::Unauthorized | Health::Blocked) {
                    self.read_in(AFTER_REFUSAL, context);
                }
                return;
            }
        }
        self.balance_at = None;
        self.publish();
        self.read_in(AFTER_OWN_COMMAND, context);
    }
}

impl Handler<Plans> for Connection {
    type Result = ();

    fn handle(&mut self, Plans(plans): Plans, context: &mut Context<Self>) {
        let gone: Vec<_> = self
            .automations
            .iter()
            .filter(|(_, automated)| !plans.contains(&automated.plan))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.end_automation(&id);
        }
        for plan in plans {
            let id = plan.id.clone();
            if !self.automations.contains_key(&id) {
                let ward = Ward::new(Tenure::Replaceable);
                self.automations.insert(
                    id.clone(),
                    Automated {
                        plan,
                        ward,
                        child: None,
                    },
                );
                self.start_automation(&id, context);
            }
        }
    }
}

impl Handler<ExecutionEnded> for Connection {
    type Result = ();

    fn handle(&mut self, ended: ExecutionEnded, _: &mut Context<Self>) {
        let automated = self.automations.get(&ended.automation);
        if let Some(child) = automated.and_then(|automated| automated.child.as_ref()) {
            child.addr().do_send(ended);
        }
    }
}

impl Handler<FeedStarted> for Connection {
    type Result = ();

    fn handle(&mut self, started: FeedStarted, _: &mut Context<Self>) {
        for child in self
            .automations
            .values()
            .filter_map(|automated| automated.child.as_ref())
        {
            child.addr().do_send(started);
        }
    }
}

impl Handler<ChildExit> for Connection {
    type Result = ();

    fn handle(&mut self, exit: ChildExit, context: &mut Context<Self>) {
        let (now, roll) = (self.now(), self.shared.clock.roll());
        let id = AutomationId::new(&exit.child);
        let Some(automated) = self.automations.get_mut(&id) else {
            return;
        };
        let policy = &self.shared.tuning.restart;
        let Some(verdict) = automated.ward.exited(&exit, now, policy, roll) else {
            return;
        };
        automated.child = None;
        let actor = format!("automation/{id}");
        let cause = exit.exit.to_string();
        self.shared.events.emit(Event::ActorDied {
            actor: actor.clone(),
            cause: cause.clone(),
        });
        let pause = match verdict {
            Verdict::Restart { attempt, delay } => {
                let delay_ms = delay.as_millis() as u64;
                self.shared.events.emit(Event::ActorRestarting {
                    actor,
                    attempt,
                    delay_ms,
                });
                delay
            }
            Verdict::Quarantine { retry } => {
                let retry_s = retry.as_secs();
                self.shared.events.emit(Event::ActorQuarantined {
                    actor,
                    cause,
                    retry_s,
                });
                retry
            }
        };
        context.run_later(pause, move |connection, context| {
            // Disabled and enabled meanwhile, it has a successor already.
            let automated = connection.automations.get(&id);
            if automated.is_some_and(|automated| automated.child.is_none()) {
                connection.start_automation(&id, context);
            }
        });
    }
}

#[cfg(feature = "failpoints")]
mod crash {
    use super::*;
    use crate::supervision::failpoint::{Crash, Place};

    /// Crashes one of the account's automations.
    #[derive(Message)]
    #[rtype(result = "()")]
    pub struct CrashAutomation(pub AutomationId, pub Place);

    impl Handler<CrashAutomation> for Connection {
        type Result = ();

        fn handle(&mut self, CrashAutomation(id, place): CrashAutomation, _: &mut Context<Self>) {
            let child = self
                .automations
                .get(&id)
                .and_then(|automated| automated.child.as_ref());
            if let Some(child) = child {
                child.addr().do_send(Crash(place));
            }
        }
    }
}

#[cfg(feature = "failpoints")]
pub use crash::CrashAutomation;

crate::crashable!(Connection);
