//! Table `jobs`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use serde_json::Value;

use crate::domain::jobs::JobKey;
use crate::queue::{Backoff, Entry, Job, JobState};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub(crate) struct Model {
    /// Orders jobs that are equal otherwise.
    #[sea_orm(primary_key)]
    pub(crate) number: i64,
    pub(crate) queue: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: String,
    /// The automation that the data names: a flood of one must not fill the hands.
    pub(crate) automation: Option<String>,
    /// `waiting`, `active`, `completed` or `failed`.
    pub(crate) state: String,
    pub(crate) priority: i32,
    pub(crate) attempts: i32,
    pub(crate) attempts_made: i32,
    pub(crate) stalls: i32,
    pub(crate) added_at: i64,
    /// With the delay that it was added with.
    pub(crate) first_due_at: i64,
    pub(crate) due_at: i64,
    pub(crate) taken_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    /// Names one handing-out of the job.
    pub(crate) lease: Option<String>,
    pub(crate) lease_until: Option<i64>,
    /// `fixed` or `exponential`.
    pub(crate) backoff: Option<String>,
    pub(crate) backoff_ms: Option<i64>,
    pub(crate) keep_completed: Option<i64>,
    pub(crate) keep_failed: Option<i64>,
    pub(crate) return_value: Option<String>,
    pub(crate) failed_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const FIXED: &str = "fixed";
const EXPONENTIAL: &str = "exponential";

/// A backoff as it is stored.
pub(super) fn stored(backoff: Option<Backoff>) -> (Option<String>, Option<i64>) {
    let (name, delay) = match backoff {
        None => return (None, None),
        Some(Backoff::Fixed(delay)) => (FIXED, delay),
        Some(Backoff::Exponential(first)) => (EXPONENTIAL, first),
    };
    (Some(name.to_owned()), Some(super::millis(delay)))
}

impl Model {
    /// As it is handed out.
    pub(super) fn job(&self) -> Job {
        Job {
            key: JobKey::new(&self.id, self.added_at),
            name: self.name.clone(),
            data: self.data.clone(),
            due_at: time(self.first_due_at),
            priority: count(self.priority),
            attempts: count(self.attempts).max(1),
            attempts_made: count(self.attempts_made),
        }
    }

    /// The wait before the next attempt, after this one has failed.
    pub(super) fn wait(&self) -> Duration {
        let milliseconds = self.backoff_ms.and_then(|delay| u64::try_from(delay).ok());
        let delay = Duration::from_millis(milliseconds.unwrap_or(0));
        let backoff = match self.backoff.as_deref() {
            Some(EXPONENTIAL) => Backoff::Exponential(delay),
            _ => Backoff::Fixed(delay),
        };
        backoff.after(count(self.attempts_made) + 1)
    }

    /// As it is shown.
    pub(super) fn entry(self, now: i64) -> Entry {
        let state = match self.state.parse() {
            Ok(JobState::Waiting) if self.due_at > now => JobState::Delayed,
            Ok(state) => state,
            // Nothing writes another.
            Err(_) => JobState::Failed,
        };
        let job = self.job();
        let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        Entry {
            state,
            priority: job.priority,
            attempts: job.attempts,
            attempts_made: job.attempts_made,
            due_at: (state == JobState::Delayed).then(|| time(self.due_at)),
            added_at: time(self.added_at),
            taken_at: self.taken_at.map(time),
            finished_at: self.finished_at.map(time),
            id: self.id,
            name: self.name,
            data: json(self.data),
            return_value: self.return_value.map(json),
            failed_reason: self.failed_reason,
        }
    }
}

fn count(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
