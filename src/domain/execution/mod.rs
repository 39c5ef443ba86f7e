//! Executions: the states of an act from intent to outcome, what it does at the exchange, and
//! whether an intent is still right.

mod action;
mod danger;
mod decision;
mod last_look;
mod reopening;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{AutomationId, PositionId};
use super::protection::DailyLimit;
use super::units::Sats;

pub use action::{Action, Opening};
pub use danger::Danger;
pub use decision::{Decision, Intent, Seen, protects, wanted};
pub use last_look::{CLOSE_ROW_AGE, LastLook, REDUCE_ROW_AGE, Sight, last_look, planned};
pub use reopening::{
    LeftOut, MOST_AGE, MOST_MOVE, Reopening, affordable, ended_by_itself, stops_in_range,
};

/// Where an execution stands. Nothing is sent before its row says `Sending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, not sent.
    Planned,
    /// May have been sent; its outcome is unknown until a reply or a proof.
    Sending,
    /// Proven applied, once.
    Done,
    /// Proven not applied, or refused.
    Failed,
    /// The exchange cannot tell; a person must look.
    Uncertain,
    /// Never sent, and never to be.
    Skipped,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Sending,
        Self::Done,
        Self::Failed,
        Self::Uncertain,
        Self::Skipped,
    ];

    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Planned | Self::Sending)
    }

    /// Whether one state may follow another. `Sending` goes back to `Planned` only when the request
    /// is known not to have been applied; `Uncertain` is settled by a person.
    pub fn may_become(self, next: Self) -> bool {
        use State::{Done, Failed, Planned, Sending, Skipped, Uncertain};
        matches!(
            (self, next),
            (Planned, Sending | Skipped | Failed)
                | (Sending, Done | Failed | Uncertain | Planned)
                | (Uncertain, Done | Failed)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no state of an execution; known are {known}")
        })
    }
}

/// The key under which a live trigger is one execution, however often it is seen.
pub fn live_trigger_key(
    automation: &AutomationId,
    position: PositionId,
    rule_version: i64,
    episode: i64,
) -> String {
    format!("live:{automation}:{position}:{rule_version}:{episode}")
}

/// The key of a job, of which each of its executions' keys begins. A job's id may hold anything: its
/// length keeps one job's keys from being another's.
pub fn job_key(queue: &str, id: &str, added_at: i64) -> String {
    format!("job:{queue}:{added_at}:{}:{id}", id.len())
}

/// The key under which what a job asks for a position is one execution, however often the job is
/// attempted.
pub fn job_trigger_key(job: &str, position: PositionId) -> String {
    format!("{job}:{position}")
}

/// Whether what failed for this reason may succeed when it is tried again.
pub fn is_worth_retrying(reason: &str) -> bool {
    reason.starts_with(UNAVAILABLE) || reason == NOT_APPLIED
}

/// The reason of what may have been sent and is proven not to have been applied.
pub const NOT_APPLIED: &str = "not_applied";

/// How reasons begin that are the exchange's own trouble.
pub const UNAVAILABLE: &str = "exchange_unavailable";

/// The key of what is done where an execution could not do what it should.
pub fn fallback_key(of: &str) -> String {
    format!("{of}:fallback")
}

/// Why an execution was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The service only shows what it would do.
    DryRun,
    /// The position no longer runs.
    PositionGone,
    /// The rule is no longer true on the current book.
    ConditionGone,
    /// No source has confirmed the price of late.
    PriceStale,
    /// The automation was disabled or changed.
    AutomationDisabled,
    /// The account was disabled.
    AccountDisabled,
    /// The account has gone to another network.
    NetworkChanged,
    /// The account is paused.
    AccountPaused,
    /// Another process has taken over.
    NotOwner,
    /// The stop or take-profit already has the value that it was to get.
    AlreadySet,
    /// A trailing stop is left alone unless the rule says otherwise.
    TrailingStop,
    /// A kill switch is on.
    KillSwitch,
    /// So many executions of the account were sent today that no more are let out.
    DailyExecutions,
    /// So much was added to the account's margin today that no more is let out.
    DailySats,
}

impl SkipReason {
    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::PositionGone => "position_gone",
            Self::ConditionGone => "condition_gone",
            Self::PriceStale => "price_stale",
            Self::AutomationDisabled => "automation_disabled",
            Self::AccountDisabled => "account_disabled",
            Self::NetworkChanged => "network_changed",
            Self::AccountPaused => "account_paused",
            Self::NotOwner => "not_owner",
            Self::AlreadySet => "already_set",
            Self::TrailingStop => "trailing_stop",
            Self::KillSwitch => "kill_switch",
            Self::DailyExecutions => DailyLimit::DailyExecutions.as_str(),
            Self::DailySats => DailyLimit::DailySats.as_str(),
        }
    }
}

impl SkipReason {
    /// The daily limit that holds it back, if one does.
    pub fn daily_limit(self) -> Option<DailyLimit> {
        match self {
            Self::DailyExecutions => Some(DailyLimit::DailyExecutions),
            Self::DailySats => Some(DailyLimit::DailySats),
            _ => None,
        }
    }
}

impl From<DailyLimit> for SkipReason {
    fn from(limit: DailyLimit) -> Self {
        match limit {
            DailyLimit::DailyExecutions => Self::DailyExecutions,
            DailyLimit::DailySats => Self::DailySats,
        }
    }
}

/// What was read before a request was sent: what its proof is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// Margin, in satoshis; 0 for an entry.
    pub margin: Sats,
    /// All that was ever cashed in from the margin, in satoshis.
    pub sum_cash_in_margin: Sats,
    /// When the request was signed, in exchange time.
    pub signed_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_leads_only_where_the_diagram_says() {
        let allowed: [Vec<&str>; 6] = State::ALL.map(|from| {
            State::ALL
                .into_iter()
                .filter(|to| from.may_become(*to))
                .map(State::as_str)
                .collect()
        });
        let expected: [Vec<&str>; 6] = [
            vec!["sending", "failed", "skipped"],
            vec!["planned", "done", "failed", "uncertain"],
            vec![],
            vec![],
            vec!["done", "failed"],
            vec![],
        ];
        assert_eq!(allowed, expected);
    }
}
