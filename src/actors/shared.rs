//! What actors share: handles to parts, and views that one actor writes and all may read at any
//! time without a hop.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix::ArbiterHandle;
use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::in_hand::InHand;
use super::limits::ToldLimits;
use super::price_cell::PriceCell;
use super::readiness::Expected;
use super::shown::Watches;
use super::{
    AuditLog, Connection, HealthReporter, Intake, JobDesk, Notifier, PriceFeed, Supervisor,
};
use crate::clock::Clock;
use crate::config::Tuning;
use crate::domain::connection::{Health, Transport};
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, PositionId, UserId};
use crate::domain::position::Position;
use crate::domain::rules::Lineage;
use crate::domain::units::Sats;
use crate::exchange::{
    ExchangeClock, KeyRates, Network, RateBudget, Rest, SocketBudget, SocketPermit,
};
use crate::journal::{Journal, JournalError};
use crate::notify::Webhook;
use crate::queue::{self, JobQueue};
use crate::store::{SocketAttempt, Store};
use crate::supervision::{Progress, Slot};
use crate::telemetry::{AccountTag, Events, SampledBy};

/// What every actor is given.
pub struct Shared {
    /// Clocks and randomness.
    pub clock: Clock,
    /// Numbers.
    pub tuning: Tuning,
    /// Where events go.
    pub events: Events,
    /// Accounts and automations.
    pub store: Store,
    /// Executions and arming.
    pub journal: Journal,
    /// Whether everything is done but sending.
    pub dry_run: bool,
    /// The thread of feeds, connections, automations, intake and executors.
    pub trading: ArbiterHandle,
    /// The thread of database and HTTP.
    pub io: ArbiterHandle,
    /// The supervisor.
    pub supervisor: Slot<Supervisor>,
    /// The present intake.
    pub intake: Slot<Intake>,
    /// Who is told outside; none where nobody is.
    pub webhook: Option<Webhook>,
    /// Where jobs come from.
    pub jobs: JobQueue,
    /// How the queue of jobs is, as its taker sees it; written by the desk of jobs.
    pub jobs_health: watch::Sender<queue::Health>,
    /// The present desk of jobs.
    pub job_desk: Slot<JobDesk>,
    /// The present audit log.
    pub audit_log: Slot<AuditLog>,
    /// The present notifier.
    pub notifier: Slot<Notifier>,
    /// The present health reporter.
    pub health: Slot<HealthReporter>,
    /// Networks by name.
    pub networks: HashMap<String, Arc<NetworkShared>>,
    /// Accounts by id; written by the supervisor.
    pub accounts: ArcSwap<HashMap<AccountId, Arc<Account>>>,
    /// Accounts that should be served; written by the supervisor.
    pub expected: Expected,
    /// Whether the parts of the service get on with their work.
    pub progress: Progress,
    /// What was told of a store that refuses, by what waits for it.
    pub(super) store_trouble: SampledBy,
    /// Executions that an executor has in hand now, whatever became of the intake that gave them.
    pub in_hand: InHand,
    pub(super) told_limits: ToldLimits,
    next_key: AtomicU64,
}

/// What a [`Shared`] is made of.
#[allow(missing_docs)] // the fields of the same names
pub struct Parts {
    pub clock: Clock,
    pub tuning: Tuning,
    pub events: Events,
    pub store: Store,
    pub journal: Journal,
    pub jobs: JobQueue,
    pub webhook: Option<Webhook>,
    pub dry_run: bool,
    pub trading: ArbiterHandle,
    pub io: ArbiterHandle,
    pub networks: HashMap<String, Arc<NetworkShared>>,
}

impl Shared {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            clock: parts.clock,
            tuning: parts.tuning,
            events: parts.events,
            store: parts.store,
            journal: parts.journal,
            dry_run: parts.dry_run,
            trading: parts.trading,
            io: parts.io,
            jobs: parts.jobs,
            webhook: parts.webhook,
            jobs_health: watch::Sender::default(),
            supervisor: Slot::new("supervisor"),
            intake: Slot::new("intake"),
            job_desk: Slot::new("job desk"),
            audit_log: Slot::new("audit log"),
            notifier: Slot::new("notifier"),
            health: Slot::new("health reporter"),
            networks: parts.networks,
            accounts: ArcSwap::default(),
            expected: Expected::default(),
            store_trouble: SampledBy::default(),
            progress: Progress::new(parts.clock),
            in_hand: InHand::default(),
            told_limits: ToldLimits::default(),
            next_key: AtomicU64::new(1),
        })
    }

    /// The account as it is served now: another object than one that was taken up before its last
    /// restart, with a view, and perhaps credentials, of its own. One that is not served, or on
    /// another network by now, stays itself: what was sent there is proven there.
    pub fn present(&self, account: &Arc<Account>) -> Arc<Account> {
        let accounts = self.accounts.load();
        let present = accounts.get(&account.tag.id);
        let present =
            present.filter(|now| now.network.network.name == account.network.network.name);
        Arc::clone(present.unwrap_or(account))
    }

    /// Whether requests of an account would be made with other credentials now.
    pub fn has_other_credentials(&self, account: &Account) -> bool {
        let accounts = self.accounts.load();
        let present = accounts.get(&account.tag.id);
        present.is_some_and(|now| !Arc::ptr_eq(&now.credentials, &account.credentials))
    }

    /// A key for a trigger level, never used before in this process.
    pub fn level_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes down that a socket is about to be opened; it may be opened when that stands, in the
    /// store, or while that does not answer in the file of intents.
    ///
    /// # Errors
    /// Where neither takes it.
    pub async fn note_attempt(&self, permit: &SocketPermit) -> Result<(), JournalError> {
        let attempt = permit.attempt();
        let attempt = SocketAttempt {
            host: attempt.host.as_ref().to_owned(),
            egress: attempt.egress,
            login: attempt.login,
            made_at: self.clock.utc(),
        };
        let kept = self.tuning.sockets.hour;
        self.journal.note_attempt(attempt, kept).await
    }
}

/// What the accounts of one network share.
pub struct NetworkShared {
    /// Its addresses.
    pub network: Network,
    /// REST, and the exchange's clock.
    pub rest: Rest,
    /// The last price; written by the price feed.
    pub price: PriceCell,
    /// The present price feed.
    pub feed: Slot<PriceFeed>,
    /// Public requests of this machine's address.
    pub public_rate: RateBudget,
    /// Requests of each key.
    pub key_rates: KeyRates,
    /// Sockets of this machine's addresses.
    pub sockets: SocketBudget,
}

impl NetworkShared {
    /// The name of its price feed.
    pub fn feed_name(&self) -> String {
        format!("price_feed/{}", self.network.name)
    }

    /// The exchange's clock.
    pub fn exchange_clock(&self) -> &ExchangeClock {
        self.rest.clock()
    }
}

/// One account as the whole service knows it; outlives the deaths of its connection, and so do its
/// budgets. A connection that is to take another's place without a gap begins with one of its own:
/// what both share is in handles.
pub struct Account {
    /// Id and name.
    pub tag: AccountTag,
    /// Its owner.
    pub user: UserId,
    /// Its network.
    pub network: Arc<NetworkShared>,
    /// Its credentials.
    pub credentials: Arc<Credentials>,
    /// Requests of its key.
    pub rate: RateBudget,
    /// REST, for calls of its key: what a call needs beyond its one request comes out of `rate`.
    pub rest: Rest,
    /// What is known of it; written by its connection.
    pub view: ArcSwap<View>,
    /// Which trade took another's place.
    pub lineage: Arc<ArcSwap<Lineage>>,
    /// The present connection.
    pub connection: Slot<Connection>,
    /// What its automations show of themselves.
    pub watches: Watches,
    /// Whether another network is stored for it by now: nothing new is sent on this one.
    pub leaves: Arc<AtomicBool>,
}

impl Account {
    /// Whether another network is stored for it by now.
    pub fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Relaxed)
    }

    /// Notes that a trade took another's place.
    pub fn succeed(&self, successor: PositionId, predecessor: PositionId) {
        self.lineage.rcu(|lineage| {
            let mut lineage = Lineage::clone(lineage);
            lineage.succeed(successor, predecessor);
            lineage
        });
    }
}

/// What is known of an account.
#[derive(Clone, Debug)]
pub struct View {
    /// The connection's state.
    pub health: Health,
    /// Where its data comes from.
    pub transport: Transport,
    /// How often that changed.
    pub switches: u32,
    /// Running trades.
    pub rows: Vec<Row>,
    /// The cross account, as last read; `None` where the key may not read it.
    pub cross: Option<CrossAccount>,
    /// Whether it is known if there is a cross position: it was read, or the key may not read it.
    pub cross_known: bool,
    /// Satoshis free for new margin, as last read.
    pub balance: Option<Sats>,
    /// When the book was last confirmed; `None` before the first reading.
    pub read_at: Option<Duration>,
}

/// The account's cross margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossAccount {
    /// What it holds, in satoshis.
    pub margin: Sats,
    /// The leverage that is set.
    pub leverage: i64,
}

/// A running trade and when it was read.
#[derive(Clone, Debug)]
pub struct Row {
    /// The trade.
    pub position: Position,
    /// When its row was requested, since the start of the process.
    pub read_at: Duration,
    /// Whether something was announced since that the row does not show yet.
    pub outdated: bool,
}

impl Row {
    /// How old it is; one that is known to be outdated is of no age that anybody may act on.
    pub fn age(&self, now: Duration) -> Duration {
        if self.outdated {
            Duration::MAX
        } else {
            now.saturating_sub(self.read_at)
        }
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            health: Health::Starting,
            transport: Transport::Http,
            switches: 0,
            rows: vec![],
            cross: None,
            cross_known: false,
            balance: None,
            read_at: None,
        }
    }
}

impl View {
    /// A running trade.
    pub fn row(&self, id: PositionId) -> Option<&Row> {
        self.rows.iter().find(|row| row.position.id == id)
    }

    /// Whether a position that has no row does not run: the cross account is read after the trades,
    /// and by then nobody knows of its position.
    pub fn knows_of(&self, id: PositionId) -> bool {
        self.cross_known || id == PositionId::MARKET || self.row(id).is_some()
    }
}
