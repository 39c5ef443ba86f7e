//! What the journal keeps in memory, so that it can go on without its store: the unfinished
//! executions that protect, what is armed, and what may not act, each as last known.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use super::super::execution::Execution;
use super::super::{JournalError, OpenedEpisode};
use super::attempts::Attempts;
use super::daily::Daily;
use super::record::Intent;
use crate::domain::audit::Entry;
use crate::domain::execution::{SkipReason, State};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId};
use crate::domain::kill_switch::{KillSwitch, Reach};
use crate::domain::rules::Limits;

/// How many armings are kept in memory at most; beyond, the next one begins anew, and what is not
/// known waits for the store.
pub(super) const MOST_ARMINGS: usize = 200_000;

/// Whose word about an execution counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum Place {
    /// The store's row.
    Store,
    /// The file's.
    File,
    /// The file's, until its release stands. Nobody takes a step meanwhile.
    Releasing,
    /// The file's; the store refuses it for good.
    Aside,
}

/// One execution.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Kept {
    pub(in crate::journal) row: Execution,
    pub(in crate::journal) entry: Option<Entry>,
    pub(in crate::journal) place: Place,
    pub(in crate::journal) version: u64,
    /// Whether the store has not heard of it.
    pub(super) born_here: bool,
    /// Since when its word is the file's, since the start of the process.
    pub(super) since: Option<Duration>,
}

impl Kept {
    /// One that the store has.
    pub(super) fn of_row(row: Execution) -> Self {
        Self {
            row,
            entry: None,
            place: Place::Store,
            version: 0,
            born_here: false,
            since: None,
        }
    }

    /// One that an earlier process has left in the file.
    pub(super) fn waiting(intent: Intent) -> Self {
        Self {
            row: intent.execution,
            entry: intent.entry,
            place: Place::File,
            version: intent.version,
            born_here: false,
            since: None,
        }
    }

    pub(super) fn intent(&self) -> Intent {
        Intent {
            version: self.version,
            execution: self.row.clone(),
            entry: self.entry.clone(),
        }
    }
}

/// An automation, a position, a version of the rule.
pub(super) type ArmingKey = (AutomationId, PositionId, i64);

/// What is armed, as last known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    pub(super) opened: OpenedEpisode,
    /// Whether the rule protects: only then it goes on without the store.
    pub(super) protects: bool,
    /// Whether the store has not heard of it.
    pub(super) only_here: bool,
}

/// A time for which the store does not answer.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    /// Since the start of the process.
    pub(super) since: Duration,
    pub(super) cause: String,
    /// Executions that were kept in the file.
    pub(super) kept: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) kept: HashMap<ExecutionId, Kept>,
    armings: HashMap<ArmingKey, Armed>,
    /// Whether what is not among them is not armed in the store either.
    pub(super) knows_all: bool,
    /// Attempts to open sockets that the store has not heard of.
    pub(super) attempts: Attempts,
    pub(super) outage: Option<Outage>,
    version: u64,
    pub(super) learned: Learned,
}

/// What may not act, as the store said when it answered last.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// When it was asked for, since the start of the process.
    pub(super) asked_at: Duration,
    pub(super) switches: Vec<KillSwitch>,
    pub(super) paused: HashSet<AccountId>,
    /// How often automations have acted on this day.
    pub(super) acted: HashMap<AutomationId, u64>,
    /// What was done for accounts on this day, and what may be.
    pub(super) daily: Daily,
    pub(super) on: NaiveDate,
}

impl Book {
    /// An empty book, in which versions are counted from the next one on.
    pub(super) fn from_version(version: u64) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn learn(&mut self, learned: Learned) {
        // Several ask: an answer to an earlier question may come later.
        if learned.asked_at >= self.learned.asked_at {
            self.learned = learned;
        }
    }

    pub(super) fn armed(&self, key: &ArmingKey) -> Option<Armed> {
        self.armings.get(key).copied()
    }

    pub(super) fn arm(&mut self, key: ArmingKey, armed: Armed) {
        if self.armings.len() >= MOST_ARMINGS && !self.armings.contains_key(&key) {
            self.armings.retain(|_, armed| armed.only_here);
            self.knows_all = false;
        }
        self.armings.insert(key, armed);
    }

    /// What is armed, or has fired, of a position passes to the one that took its place; what that
    /// one has fired stands.
    pub(super) fn inherit(&mut self, from: PositionId, to: PositionId) {
        let of_it = self.armings.iter().filter(|(key, _)| key.1 == from);
        let inherited: Vec<_> = of_it
            .map(|((automation, _, version), armed)| ((automation.clone(), to, *version), *armed))
            .collect();
        for (key, armed) in inherited {
            let stands = self.armed(&key).map(|stands| stands.opened);
            if !matches!(stands, Some(OpenedEpisode::Fired { .. })) {
                self.arm(key, armed);
            }
        }
    }

    /// Episodes that were opened without the store.
    pub(super) fn only_here(&self) -> Vec<(ArmingKey, OpenedEpisode)> {
        let only_here = self.armings.iter().filter(|(_, armed)| armed.only_here);
        only_here
            .map(|(key, armed)| (key.clone(), armed.opened))
            .collect()
    }

    /// What holds back a protective action, as far as is known.
    pub(super) fn held_back(
        &self,
        account: &AccountId,
        automation: &AutomationId,
    ) -> Option<SkipReason> {
        if self.learned.paused.contains(account) {
            return Some(SkipReason::AccountPaused);
        }
        self.learned
            .switches
            .iter()
            .filter(|switch| !switch.allows_protective)
            .any(|switch| match &switch.reach {
                Reach::Service => true,
                Reach::Account(of) => of == account,
                Reach::Automation(of) => of == automation,
            })
            .then_some(SkipReason::KillSwitch)
    }

    /// Until when the automation may not act, by what was stored when the store answered last and by
    /// what was kept since.
    pub(super) fn limited_until(
        &self,
        automation: &AutomationId,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let most = u64::from(limits.per_day?);
        let today = now.date_naive();
        let learned = &self.learned;
        let stored = match learned.on == today {
            true => learned.acted.get(automation).copied().unwrap_or_default(),
            false => 0,
        };
        let counts = |kept: &&Kept| {
            kept.born_here
                && kept.row.automation == *automation
                && kept.row.created_at.date_naive() == today
                && !matches!(kept.row.state, State::Failed | State::Skipped)
        };
        let here = self.kept.values().filter(counts).count() as u64;
        let tomorrow = today.succ_opt()?.and_time(chrono::NaiveTime::MIN).and_utc();
        (stored + here >= most).then_some(tomorrow)
    }

    /// The next that is to be taken over by the store: the oldest.
    pub(super) fn next(&self) -> Option<Kept> {
        let waiting = self.kept.values().filter(|kept| kept.place == Place::File);
        waiting.min_by_key(|kept| kept.version).cloned()
    }

    /// How many stand in the file and not in the store.
    pub(super) fn waiting(&self) -> usize {
        self.all_waiting().count()
    }

    /// Since when the oldest of them does, since the start of the process.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.all_waiting().filter_map(|kept| kept.since).min()
    }

    /// How many stay there: the store refuses them for good.
    pub(super) fn set_aside(&self) -> usize {
        let aside = |kept: &&Kept| kept.place == Place::Aside;
        self.kept.values().filter(aside).count()
    }

    fn all_waiting(&self) -> impl Iterator<Item = &Kept> {
        let waits = |kept: &&Kept| matches!(kept.place, Place::File | Place::Releasing);
        self.kept.values().filter(waits)
    }

    /// One that others may step on.
    pub(super) fn get(&mut self, id: ExecutionId) -> Result<&mut Kept, JournalError> {
        self.kept
            .get_mut(&id)
            .ok_or_else(|| crate::store::StoreError::no_execution(id).into())
    }
}
