//! Jobs: requests from outside to run an automation now. What they are called, and which of those
//! that were taken from the queue runs next.

mod desk;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::ids::PositionId;

pub use desk::{Desk, DeskLimits, Request, Verdict};

/// What makes a job this job and no other. Ids alone do not: they start again at 1 after the
/// queue's database was flushed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct JobKey {
    /// The id within the queue.
    pub id: Arc<str>,
    /// When it was added, in milliseconds since 1970.
    pub added_at: i64,
}

impl JobKey {
    /// Of the job with this id, added then.
    pub fn new(id: &str, added_at: i64) -> Self {
        Self {
            id: Arc::from(id),
            added_at,
        }
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.added_at)
    }
}

/// How much waiting costs, by what the job's automation is there for; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Danger {
    /// A missed margin guard is a liquidation.
    MarginGuard,
    /// A missed take-profit or stop-loss is a loss.
    TpSl,
    /// A missed entry is a missed chance.
    AutoEntry,
}

/// What of its automation a job asks for. Two waiting jobs of one automation and one scope ask for
/// the same thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JobScope {
    /// The action that the producer named, where it named one.
    pub action: Option<Arc<str>>,
    /// The one position that it is about, where it is about one.
    pub position: Option<PositionId>,
}
