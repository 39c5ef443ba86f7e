//! The state of everything, as one value: read out of what the actors publish, so that whoever looks
//! disturbs nobody who trades.

mod account;
mod chosen;
mod journal;
mod parts;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::actors::Shared;
use crate::domain::execution::State;
use crate::domain::ids::AccountId;
use crate::domain::kill_switch::KillSwitch;
use crate::journal::{JournalError, Usage};
use crate::store::Pause;

pub use account::{
    AccountReport, AutomationReport, LastReport, LevelReport, PositionReport, WatchReport,
};
pub use chosen::{Choice, SHOWN_ACCOUNTS, Summary};
pub use journal::JournalReport;
pub use parts::{
    FeedReport, IntakeReport, LifeReport, NotificationsReport, PartReport, QueueReport,
};

pub(super) use account::distance;
pub(super) use chosen::{breathe, by_danger, summary};

/// Whoever looks waits no longer for the store: all else is there without it.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// A running service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Whether it does everything but send.
    pub dry_run: bool,
    /// Why the store did not answer, where it did not: kill switches and counts of executions are
    /// unknown then.
    pub store_error: Option<String>,
    /// Kill switches that are on.
    pub kill_switches: Vec<KillSwitch>,
    /// Where executions are written down.
    pub journal: JournalReport,
    /// Where its jobs come from.
    pub queue: QueueReport,
    /// What waits to be told outside.
    pub notifications: NotificationsReport,
    /// Parts that serve everybody.
    pub parts: Vec<PartReport>,
    /// What waits for executors.
    pub intake: IntakeReport,
    /// Price feeds, by network.
    pub feeds: Vec<FeedReport>,
    /// All accounts, in numbers.
    pub summary: Summary,
    /// Accounts, by name: all, or those that were chosen.
    pub accounts: Vec<AccountReport>,
    /// How many were not.
    pub left_out: usize,
    /// Executions by state, of all time.
    pub executions: Vec<(String, u64)>,
    /// Executions under way now.
    pub in_hand: usize,
}

impl StatusReport {
    /// Looks at everything, and at the chosen accounts one by one.
    pub async fn of(shared: &Shared, choice: &Choice) -> Self {
        let (chosen, summary) = chosen::choose(shared, choice).await;
        let ids: Vec<_> = chosen.iter().map(|one| one.tag.id.clone()).collect();
        let asking =
            async { Ok::<_, JournalError>((stored(shared).await?, of(shared, &ids).await?)) };
        let asked = tokio::time::timeout(STORE_WITHIN, asking).await;
        let ((stored, mut of_each), store_error) = match asked {
            Ok(Ok(known)) => (known, None),
            Ok(Err(error)) => (Default::default(), Some(error.to_string())),
            Err(_) => {
                let error = format!("the store gave no answer within {STORE_WITHIN:?}");
                (Default::default(), Some(error))
            }
        };
        let mut accounts = Vec::with_capacity(chosen.len());
        for (index, account) in chosen.iter().enumerate() {
            let pause = stored.pauses.get(&account.tag.id).cloned();
            let usage = of_each.usage.remove(&account.tag.id);
            accounts.push(AccountReport::of(shared, account, pause, usage));
            chosen::breathe(index).await;
        }
        let notifications = NotificationsReport::of(shared, of_each.waiting);
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            at: shared.clock.utc(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: shared.clock.mono().as_secs(),
            dry_run: shared.dry_run,
            store_error,
            kill_switches: stored.kill_switches,
            queue: QueueReport::of(shared),
            journal: JournalReport::of(shared),
            parts: parts::parts(shared, &notifications),
            notifications,
            intake: IntakeReport::of(shared),
            feeds: parts::feeds(shared),
            left_out: summary.accounts.saturating_sub(accounts.len()),
            summary,
            accounts,
            executions: stored.executions,
            in_hand: shared.in_hand.len(),
        }
    }
}

/// What only the store knows of what waits to be told, and of some accounts.
#[derive(Default)]
struct OfEach {
    usage: HashMap<AccountId, Usage>,
    waiting: Option<u64>,
}

async fn of(shared: &Shared, accounts: &[AccountId]) -> Result<OfEach, JournalError> {
    Ok(OfEach {
        usage: shared.journal.usage(accounts, shared.clock.utc()).await?,
        waiting: Some(shared.store.notices_waiting().await?),
    })
}

/// What only the store knows.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) pauses: HashMap<AccountId, Pause>,
    pub(super) kill_switches: Vec<KillSwitch>,
    pub(super) executions: Vec<(String, u64)>,
}

pub(super) async fn stored(shared: &Shared) -> Result<Stored, JournalError> {
    let counts = shared.journal.counts().await?;
    let executions = State::ALL
        .into_iter()
        .map(|state| (state.as_str().to_owned(), counts.of(state)));
    Ok(Stored {
        pauses: shared.store.pauses().await?.into_iter().collect(),
        kill_switches: shared.store.kill_switches().await?.rows,
        executions: executions.collect(),
    })
}
