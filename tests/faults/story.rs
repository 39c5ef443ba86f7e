//! The one story of a fault: all is well, it begins, the price endangers everybody, it ends.

use std::time::Duration;

use vigia::domain::connection::{Health, Transport};
use vigia::simulator::{Fault, Injection};
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, MARGIN, Script, Stage, Trader, adding};

/// What a fault lets be seen.
pub struct Seen {
    /// Causes for which the account's socket is lost, one after the other.
    pub lost: &'static [&'static str],
    /// The same of the price feed's.
    pub feed_lost: &'static [&'static str],
    /// Events by their names, and what their text must hold.
    pub told: &'static [(&'static str, &'static str)],
    /// Events that must not be told, by their names.
    pub untold: &'static [&'static str],
    /// State and transport while it lasts.
    pub state: (Health, Transport),
    /// When the trigger is acted on.
    pub acts: Acts,
}

/// When a trigger that falls into a fault is acted on.
#[derive(Clone, Copy, PartialEq)]
pub enum Acts {
    /// While it lasts.
    Meanwhile,
    /// When it is over.
    Afterwards,
}

/// Nothing is lost: the socket goes on.
pub const UNNOTICED: Seen = Seen {
    lost: &[],
    feed_lost: &[],
    told: &[],
    untold: &[],
    state: (Health::Live, Transport::Websocket),
    acts: Acts::Meanwhile,
};

/// The socket is lost for these causes; HTTP takes over.
pub const fn over_http(lost: &'static [&'static str]) -> Seen {
    Seen {
        lost,
        state: (Health::Live, Transport::Http),
        ..UNNOTICED
    }
}

/// Both the account's socket and the feed's.
pub const fn all_over_http(lost: &'static [&'static str]) -> Seen {
    Seen {
        feed_lost: lost,
        ..over_http(lost)
    }
}

/// Readings fail, and this is told; the socket goes on.
pub const fn failing(told: &'static [(&'static str, &'static str)]) -> Seen {
    Seen {
        told,
        state: (Health::Blind, Transport::Websocket),
        acts: Acts::Afterwards,
        ..UNNOTICED
    }
}

/// A fault that holds what falls into it holds it so long at least: scaled, and as it is.
const HELD: [Duration; 2] = [Duration::from_millis(700), Duration::from_secs(20)];
/// Within this HTTP has taken over where it is not concerned, on a machine that is busy.
const MOST_GAP_MS: u64 = 5000;

/// Whether the windows of protocol and price are the real ones.
fn is_long() -> bool {
    std::env::var_os("VIGIA_LONG").is_some()
}

/// Windows scaled about 1:20; in a long run the real ones.
pub fn script() -> Script {
    if is_long() {
        // Five minutes would be no better than one. A fault is met again and again while it lasts, and
        // is not to pause the account for good.
        return Script::new()
            .with("connection.refused_pause_ms", 60_000)
            .with("protection.failures_in_a_row", 100);
    }
    scaled()
}

/// Windows scaled about 1:20.
pub fn scaled() -> Script {
    Script::new()
        .with("connection.ping_period_ms", 300)
        .with("connection.ping_deadline_ms", 700)
        .with("connection.failing_ms", 1000)
        .with("connection.refused_pause_ms", 1000)
        .with("price.quiet_ms", 500)
        .with("price.ticker_period_ms", 200)
        .with("price.blind_ms", 2000)
        .with("price.deaf_ms", 2000)
}

/// Waits until so many sockets hear something.
pub async fn subscribed(stage: &mut Stage, sockets: usize) {
    let control = stage.control.clone();
    let subscribed = || {
        let open = control.sockets();
        open.len() == sockets && open.iter().all(|socket| !socket.topics.is_empty())
    };
    let what = format!("{sockets} sockets are subscribed");
    stage.until(&what, subscribed).await;
}

/// A stage, the endangered account, and another that every fault of the first must leave alone.
pub struct Tale {
    pub stage: Stage,
    pub alpha: Trader,
    pub beta: Trader,
}

impl Tale {
    /// Both accounts are guarded and live over their sockets, and so is the feed.
    pub async fn begin(script: Script) -> Self {
        let mut stage = script.play().await;
        let (alpha, _) = stage.guarded("alpha", adding()).await;
        let (beta, _) = stage.guarded("beta", adding()).await;
        stage.live_over(&alpha, Transport::Websocket).await;
        stage.live_over(&beta, Transport::Websocket).await;
        subscribed(&mut stage, 3).await;
        stage.mark();
        Self { stage, alpha, beta }
    }

    /// Something that each socket would tell of.
    pub async fn nudge(&mut self) {
        self.stage.control.set_price(CALM + 0.5).unwrap();
        self.stage.deposit_by_hand(&self.alpha, 1000).await;
    }

    /// What must be seen while the fault lasts, before anybody is in danger.
    pub async fn is_seen(&mut self, seen: &Seen) {
        let connection = self.alpha.connection();
        self.loses(&connection, seen.lost).await;
        self.loses("price_feed/sim", seen.feed_lost).await;
        for (name, text) in seen.told {
            let what = format!("{name} with {text}");
            let told = |event: &Event| event.name() == *name && format!("{event:?}").contains(text);
            self.stage.wait_until(&what, told).await;
        }
        let account = self.stage.account(&self.alpha);
        let (health, transport) = seen.state;
        let what = format!("alpha is {health} over {transport}");
        let shown = || {
            let view = account.view.load();
            (view.health, view.transport) == (health, transport)
        };
        self.stage.until(&what, shown).await;
    }

    async fn loses(&mut self, actor: &str, causes: &[&'static str]) {
        let mut left = causes.iter();
        let Some(mut wanted) = left.next() else {
            return;
        };
        let what = format!("{actor} loses its sockets for {causes:?}");
        let pick = |event: &Event| match event {
            Event::SocketLost {
                actor: whose,
                cause,
                ..
            } if whose == actor && cause == wanted => match left.next() {
                Some(next) => {
                    wanted = next;
                    None
                }
                None => Some(()),
            },
            _ => None,
        };
        self.stage.wait_for(&what, pick).await;
    }

    /// Everybody is endangered while the fault lasts; `end` ends it.
    pub async fn endanger(&mut self, acts: Acts, end: impl FnOnce(&Stage)) {
        self.stage.control.set_price(DANGER).unwrap();
        match acts {
            Acts::Meanwhile => self.stage.done(&self.alpha).await,
            Acts::Afterwards => {
                let [scaled, real] = HELD;
                self.hold(if is_long() { real } else { scaled }).await;
                let done = |event: &Event| matches!(event, Event::Done { account, .. } if account.id == self.alpha.id);
                assert!(
                    !self.stage.events().iter().any(done),
                    "the fault did not hold"
                );
            }
        }
        end(&self.stage);
        self.stage.done(&self.alpha).await;
    }

    /// Lets time pass.
    pub async fn hold(&mut self, length: Duration) {
        let (clock, until) = (self.stage.clock, self.stage.clock.mono() + length);
        let passed = || clock.mono() >= until;
        self.stage.until("time passes", passed).await;
    }

    /// Nobody told of any trouble of beta's, which was saved meanwhile.
    pub async fn beta_noticed_nothing(&mut self) {
        self.stage.done(&self.beta).await;
        let of_beta = |event: &&Event| match event {
            Event::ConnectionState { account, .. } | Event::TransportSwitched { account, .. } => {
                account.id == self.beta.id
            }
            _ => false,
        };
        let noticed: Vec<_> = self
            .stage
            .events()
            .iter()
            .filter(of_beta)
            .cloned()
            .collect();
        assert!(noticed.is_empty(), "{noticed:?}");
    }

    /// All is as before, each was saved once, and both switches were told.
    pub async fn end(mut self, seen: &Seen) {
        self.stage
            .live_over(&self.alpha, Transport::Websocket)
            .await;
        self.stage.done(&self.beta).await;
        for trader in [&self.alpha, &self.beta] {
            assert_eq!(self.stage.effects(trader).len(), 1, "{}", trader.name);
            assert_eq!(self.stage.margin(trader), 2 * MARGIN);
        }
        let untold = |event: &&Event| seen.untold.contains(&event.name());
        let told: Vec<_> = self.stage.events().iter().filter(untold).cloned().collect();
        assert!(told.is_empty(), "{told:?}");
        let gaps = if seen.lost.is_empty() {
            vec![]
        } else {
            self.gaps(seen).await
        };
        println!(
            "{}: gaps without data {gaps:?} ms, acted on once",
            std::thread::current().name().unwrap_or_default()
        );
        self.stage.end().await;
    }

    /// The gaps of all switches to HTTP; the first bears the cause of the first loss.
    async fn gaps(&mut self, seen: &Seen) -> Vec<u64> {
        let (cause, _) = self.stage.switched(&self.alpha, Transport::Http).await;
        assert_eq!(cause, seen.lost[0]);
        let (cause, gap_ms) = self.stage.switched(&self.alpha, Transport::Websocket).await;
        assert_eq!((cause, gap_ms), ("synced", 0));
        let gap = |event: &Event| match event {
            Event::TransportSwitched {
                account,
                to: Transport::Http,
                gap_ms,
                ..
            } if account.id == self.alpha.id => Some(*gap_ms),
            _ => None,
        };
        let gaps: Vec<u64> = self.stage.events().iter().filter_map(gap).collect();
        if seen.acts == Acts::Meanwhile {
            assert!(gaps.iter().all(|gap| *gap < MOST_GAP_MS), "{gaps:?}");
        }
        gaps
    }
}

/// Whom a fault concerns.
#[derive(Clone, Copy, PartialEq)]
pub enum Whom {
    /// The key of alpha alone.
    Alpha,
    /// Everybody.
    All,
}

/// The story of faults that begin together.
pub async fn told(whom: Whom, faults: Vec<Injection>, nudge: bool, seen: Seen) {
    let mut tale = Tale::begin(script()).await;
    for fault in faults {
        let fault = match whom {
            Whom::Alpha => fault.on_key(&tale.alpha.key),
            Whom::All => fault,
        };
        tale.stage.control.inject(fault).unwrap();
    }
    if nudge {
        tale.nudge().await;
    }
    tale.is_seen(&seen).await;
    let end = |stage: &Stage| stage.control.clear_faults();
    tale.endanger(seen.acts, end).await;
    if whom == Whom::Alpha {
        tale.beta_noticed_nothing().await;
    }
    tale.end(&seen).await;
}

/// A status in place of an answer.
pub fn status(status: u16, retry_after: Option<f64>, plain: bool) -> Fault {
    Fault::Status {
        status,
        code: None,
        retry_after,
        plain,
    }
}
