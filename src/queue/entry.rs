//! A job as it is shown.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// To be handed out as soon as somebody takes it.
    Waiting,
    /// Not to be handed out before its time: added so, between attempts, or set aside.
    Delayed,
    /// In hand: it waits for its turn, or runs.
    Active,
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Delayed,
        Self::Active,
        Self::Completed,
        Self::Failed,
    ];

    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|state| state.as_str() == text);
        let names = Self::ALL.map(Self::as_str).join(", ");
        named.ok_or_else(|| format!("a job's state is one of {names}"))
    }
}

/// A job as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// The name that its producer gave it.
    pub name: String,
    /// Where it is.
    pub state: JobState,
    /// 0 is none, and goes first; then the lower goes first.
    pub priority: u32,
    /// What its producer wants; text where it is no JSON.
    pub data: Value,
    /// How often it may be attempted.
    pub attempts: u32,
    /// Attempts that have ended.
    pub attempts_made: u32,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// When it is handed out, if it is delayed.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was last handed out.
    pub taken_at: Option<DateTime<Utc>>,
    /// When it completed or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// What its producer was told.
    pub return_value: Option<Value>,
    /// Why its last attempt failed; stays after a later success.
    pub failed_reason: Option<String>,
}

/// How many jobs are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// See [`JobState::Waiting`].
    pub waiting: u64,
    /// See [`JobState::Delayed`].
    pub delayed: u64,
    /// See [`JobState::Active`].
    pub active: u64,
    /// See [`JobState::Completed`]: those that are kept.
    pub completed: u64,
    /// See [`JobState::Failed`]: those that are kept.
    pub failed: u64,
    /// Whether somebody has paused the queue: then nothing is handed out.
    pub paused: bool,
}
