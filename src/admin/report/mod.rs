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
use crate::journal::JournalError;
use crate::store::Pause;

pub use account::{
    AccountReport, AutomationReport, LastReport, LevelReport, PositionReport, WatchReport,
};
pub use chosen::{Choice, SHOWN_ACCOUNTS, Summary};
pub use journal::JournalReport;
pub use parts::{FeedReport, IntakeReport, LifeReport, PartReport, QueueReport};

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
        let asked = tokio::time::timeout(STORE_WITHIN, stored(shared)).await;
        let (stored, store_error) = match asked {
            Ok(Ok(stored)) => (stored, None),
            Ok(Err(error)) => (Stored::default(), Some(error.to_string())),
            Err(_) => {
                let error = format!("the store gave no answer within {STORE_WITHIN:?}");
                (Stored::default(), Some(error))
            }
        };
        let (chosen, summary) = chosen::choose(shared, choice).await;
        let mut accounts = Vec::with_capacity(chosen.len());
        for (index, account) in chosen.iter().enumerate() {
            let pause = stored.pauses.get(&account.tag.id).cloned();
            accounts.push(AccountReport::of(shared, account, pause));
            chosen::breathe(index).await;
        }
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
            parts: parts::parts(shared),
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
