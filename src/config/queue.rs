//! `[queue]`: where jobs come from.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::jobs::DeskLimits;

/// Which backend holds the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueBackend {
    /// A table of the service's own database.
    Database,
    /// BullMQ's, on Redis.
    Redis,
}

/// `[queue]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each key is explained in config/default.toml
pub struct QueueSettings {
    pub backend: QueueBackend,
    pub redis_url: String,
    pub prefix: String,
    pub name: String,
    pub concurrency: usize,
    pub take: usize,
    pub waiting_per_account: usize,
    set_aside_ms: u64,
    max_job_age_ms: u64,
    pub priority: u32,
    pub attempts: u32,
    backoff_ms: u64,
    pub keep_completed: u64,
    pub keep_failed: u64,
    lock_ms: u64,
    stalled_ms: u64,
    pub max_stalled: u32,
    poll_ms: u64,
}

impl QueueSettings {
    /// The first key whose value is impossible, and why.
    pub(super) fn wrong(&self) -> Option<(&'static str, String)> {
        let least = [
            ("queue.concurrency", self.concurrency as u64, 1),
            ("queue.take", self.take as u64, 1),
            (
                "queue.waiting_per_account",
                self.waiting_per_account as u64,
                1,
            ),
            ("queue.attempts", u64::from(self.attempts), 1),
            ("queue.set_aside_ms", self.set_aside_ms, 1),
            ("queue.lock_ms", self.lock_ms, 1000),
            ("queue.stalled_ms", self.stalled_ms, 100),
            ("queue.poll_ms", self.poll_ms, 100),
        ];
        let wrong = least.into_iter().find(|(_, value, least)| value < least);
        if let Some((key, _, least)) = wrong {
            return Some((key, format!("it must be {least} or more")));
        }
        for (key, text) in [("queue.name", &self.name), ("queue.prefix", &self.prefix)] {
            if text.is_empty() || text.contains(':') {
                return Some((key, "it must be text without colons".to_owned()));
            }
        }
        None
    }

    /// A job in hand whose lease was not renewed for so long was abandoned.
    pub fn lock(&self) -> Duration {
        Duration::from_millis(self.lock_ms)
    }

    /// How often abandoned jobs are looked for.
    pub fn stalled_every(&self) -> Duration {
        Duration::from_millis(self.stalled_ms)
    }

    /// How often an idle consumer looks by itself.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// The first wait between attempts of jobs that are added here.
    pub fn backoff(&self) -> Duration {
        Duration::from_millis(self.backoff_ms)
    }

    /// The rules of fairness.
    pub fn desk(&self) -> DeskLimits {
        DeskLimits {
            running: self.concurrency,
            waiting_per_account: self.waiting_per_account,
            pace: Duration::from_millis(self.set_aside_ms),
            max_age: Duration::from_millis(self.max_job_age_ms),
            ..DeskLimits::default()
        }
    }
}
