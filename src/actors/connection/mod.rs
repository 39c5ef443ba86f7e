//! `Connection`: one account at the exchange: its book, its socket, and the readings that take over
//! when the socket is lost.
//!
//! - Owner: `Supervisor`, one for each account. Set aside when it dies too often.
//! - Owns: the book, the account's socket, its automations, the account's `View`.
//! - In: socket events, `Learned` from executors, `Plans`, `ExecutionEnded`, `FeedStarted`, `Fired`;
//!   when one is to take another's place: `SucceededBy`, `Bequest`, `Overheard`, `Stands`,
//!   `WhyNotLive`, `TookOver`, `Retire`. Out: `BookChanged`, `ExecutionEnded`, `FeedStarted`, `Fired`
//!   and `Retire` to its automations, `Bequest`, `Overheard`, `Learned`, `Fired` and `ExecutionEnded`
//!   to its successor, `Ready` and `Unfit` to the supervisor.
//! - Bound: one reading of the book at a time, within the key's rate budget; 1024 frames wait.
//! - Death: book and socket are lost and read again; automations end and start with it; running
//!   executions do not.
//! - Stop: socket and automations end; nothing is lost.

mod automations;
mod cross;
mod frames;
mod heritage;
mod learned;
mod reading;
mod socket;
mod succession;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::automation::{AutomationPlan, BookChanged};
use super::shared::{Account, CrossAccount, Row, Shared, View};
use crate::domain::book::{Book, CrossBook};
use crate::domain::connection::{Effect, Event as LinkEvent, Health, Link, Sight};
use crate::domain::ids::AutomationId;
use crate::domain::position::Position;
use crate::domain::units::Sats;
use crate::exchange::{Socket, UnreadableTrade};
use crate::supervision::failpoint;
use crate::telemetry::{Event, Sampled};
use automations::Automated;

#[cfg(feature = "failpoints")]
pub use automations::CrashAutomation;
pub use automations::{ExecutionEnded, FeedStarted, Plans};
pub use heritage::{Bequest, Fired, Overheard, SucceededBy};
pub use learned::Learned;
pub(super) use reading::refusal_of;
pub use succession::{Retire, TookOver, WhyNotLive};

/// How often state and nearness are looked at.
const BEAT: Duration = Duration::from_millis(500);
/// See the module's documentation.
pub struct Connection {
    shared: Arc<Shared>,
    account: Arc<Account>,
    book: Book,
    cross: CrossBook,
    cross_access: cross::Access,
    cross_read_at: Option<Duration>,
    reading_cross: bool,
    /// A reading of the cross account waits for its place in the rate budget.
    cross_waits: bool,
    /// A reading of the balance waits likewise.
    balance_waits: bool,
    link: Link,
    health: Health,
    started_at: Duration,
    balance: Option<Sats>,
    balance_at: Option<Duration>,
    /// In time for which the machine ran.
    reading_since: Option<Duration>,
    failed_readings: Sampled,
    /// Trades of the last reading that could not be read.
    unreadable: Vec<UnreadableTrade>,
    read_at: Duration,
    read_timer: Option<SpawnHandle>,
    socket: Option<Socket>,
    socket_number: u64,
    undecodable: Sampled,
    socket_timer: Option<SpawnHandle>,
    /// An attempt is being written down.
    noting: bool,
    automations: HashMap<AutomationId, Automated>,
    /// Until it has taken over, where it is to take another's place.
    candidate: Option<succession::Candidate>,
    /// Who is to take its place.
    successor: Option<Addr<Connection>>,
    /// Another has.
    retiring: bool,
    /// Changes of transport before its time.
    switches_before: u32,
}

impl Connection {
    /// A connection that knows nothing yet of its account but what it should watch.
    pub fn new(shared: Arc<Shared>, account: Arc<Account>, plans: Vec<AutomationPlan>) -> Self {
        let automated = |plan: AutomationPlan| (plan.id.clone(), Automated::new(plan));
        Self {
            shared,
            account,
            book: Book::default(),
            cross: CrossBook::default(),
            cross_access: cross::Access::default(),
            cross_read_at: None,
            reading_cross: false,
            cross_waits: false,
            balance_waits: false,
            link: Link::default(),
            health: Health::Starting,
            started_at: Duration::ZERO,
            balance: None,
            balance_at: None,
            reading_since: None,
            failed_readings: Sampled::default(),
            unreadable: vec![],
            read_at: Duration::ZERO,
            read_timer: None,
            socket: None,
            socket_number: 0,
            undecodable: Sampled::default(),
            socket_timer: None,
            noting: false,
            automations: plans.into_iter().map(automated).collect(),
            candidate: None,
            successor: None,
            retiring: false,
            switches_before: 0,
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock.mono()
    }

    fn name(&self) -> String {
        format!("connection/{}", self.account.tag.name)
    }

    fn step(&mut self, event: LinkEvent, context: &mut Context<Self>) {
        let (now, roll) = (self.now(), self.shared.clock.roll());
        // Both at once, where a reading that HTTP waited for also completes the sync of a socket.
        let mut switches = vec![];
        for effect in self.link.step(event, now, roll, &self.shared.tuning.link) {
            match effect {
                Effect::ReadNow => self.read_in(Duration::ZERO, context),
                Effect::ReadIn(pause) => self.read_in(pause, context),
                Effect::ConnectIn(pause) => self.connect_in(pause, context),
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
            if self.serves() {
                self.shared.events.emit(switched);
            }
        }
        self.advance(context);
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        let stuck = self.shared.tuning.link.stuck;
        if self
            .reading_since
            .is_some_and(|since| self.shared.clock.awake() >= since + stuck)
        {
            let tag = &self.account.tag;
            tracing::error!(
                event = "actor.stuck", account_id = %tag.id, account_name = %tag.name,
                "a reading neither came back nor failed"
            );
            context.stop();
            return;
        }
        self.yield_socket(context);
        self.report();
        self.advance(context);
        let (now, near) = (self.now(), self.shared.tuning.link.read_near);
        let sooner = self.health == Health::Live && self.read_at > now + near && self.is_near();
        // Timers stand still while the machine is suspended.
        let overdue = self.has_begun() && self.reading_since.is_none() && now > self.read_at + BEAT;
        if sooner || overdue {
            self.read_in(Duration::ZERO, context);
        }
        context.run_later(BEAT, Self::beat);
    }

    fn switches(&self) -> u32 {
        self.switches_before + self.link.switches()
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
        if from == to && shown.transport == transport && shown.switches == self.switches() {
            return;
        }
        self.health = to;
        self.publish_view();
        if from != to && self.serves() {
            let account = self.account.tag.clone();
            self.shared.events.emit(Event::ConnectionState {
                account,
                from,
                to,
                transport,
            });
        }
    }

    /// All positions with the time of their rows.
    fn rows(&self) -> impl Iterator<Item = (&Position, Duration)> {
        self.book.rows().chain(self.cross.row())
    }

    fn publish_view(&self) {
        let row = |outdated| {
            move |(position, read_at): (&Position, Duration)| Row {
                position: position.clone(),
                read_at,
                outdated,
            }
        };
        // An isolated trade keeps its size for life; what an order left of a cross position must be
        // read before the next one.
        let trades = self.book.rows().map(row(false));
        let rows = trades
            .chain(self.cross.row().map(row(self.cross.is_dirty())))
            .collect();
        self.account.view.store(Arc::new(View {
            health: self.health,
            transport: self.link.transport(),
            switches: self.switches(),
            rows,
            cross: self
                .cross
                .account()
                .map(|(margin, leverage)| CrossAccount { margin, leverage }),
            cross_known: self.cross_access != cross::Access::Unknown,
            balance: self.balance,
            read_at: self.link.read_at(),
        }));
    }

    fn publish(&self) {
        self.publish_view();
        for child in self.children() {
            child.addr().do_send(BookChanged);
        }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("connection.started", &self.account.tag.name);
        self.started_at = self.now();
        // What an earlier one knew of the account is not to be acted upon.
        self.publish_view();
        self.learn_lineage(context);
        let watches = &self.account.watches;
        watches.keeps(|id| self.automations.contains_key(id));
        if self.candidate.is_none() {
            let ids: Vec<_> = self.automations.keys().cloned().collect();
            for id in ids {
                self.start_automation(&id, context);
            }
            self.read_in(Duration::ZERO, context);
            self.connect(context);
        }
        self.beat(context);
    }
}

crate::crashable!(Connection);
