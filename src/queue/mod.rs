//! The job queue: requests from outside to run an automation now.
//!
//! Two backends give the same: [`bull`] shares a BullMQ queue on Redis with Node applications,
//! [`table`] keeps the jobs in the service's own database. A [`JobQueue`] adds jobs and shows them;
//! a [`Consumer`] hands them out, renews their leases while they are in hand, and records what
//! became of them. It ends only when it is closed: it comes back by itself after any outage.
//!
//! A job is handed out **at least once**: whoever carries jobs out must know one that comes again
//! by its [`JobKey`](crate::domain::jobs::JobKey).

pub mod bull;
mod consumer;
mod entry;
mod error;
mod health;
mod job;
mod payload;
pub mod table;

use std::time::Duration;

pub use consumer::Consumer;
pub use entry::{Counts, Entry, JobState};
pub use error::QueueError;
pub use health::{Health, Link};
pub use job::{Added, Backoff, Job, MOST_PRIORITY, NewJob, Outcome, Taken};
pub use payload::{MOST_BYTES, Payload, PayloadError};

use bull::BullQueue;
use table::TableQueue;

/// What both backends are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// The queue's name.
    pub name: String,
    /// Jobs in hand at once, over all that wait or run; the queue shows them as active.
    pub take: usize,
    /// A job in hand whose lease was not renewed for so long was abandoned. Leases are renewed
    /// twice as often.
    pub lock: Duration,
    /// How often abandoned jobs are looked for.
    pub stalled_every: Duration,
    /// A job abandoned more often than this fails.
    pub most_stalls: u32,
    /// Completed jobs that are kept, unless a job says otherwise.
    pub keep_completed: u64,
    /// Failed jobs that are kept, unless a job says otherwise.
    pub keep_failed: u64,
    /// How often an idle consumer looks by itself, for jobs of which nothing told it.
    pub poll: Duration,
}

/// What a job that stalled too often fails with, in the words of BullMQ.
pub(crate) const STALLED_TOO_OFTEN: &str = "job stalled more than allowable limit";

/// Adds jobs to the queue and shows them, on either backend.
#[derive(Clone, Debug)]
pub enum JobQueue {
    /// BullMQ's, on Redis.
    Bull(BullQueue),
    /// The table of the service's own database.
    Table(TableQueue),
}

impl JobQueue {
    /// Takes jobs from now on. The task that serves runs on the current runtime; the consumer owns
    /// it.
    pub fn consume(&self) -> Consumer {
        match self {
            Self::Bull(queue) => queue.consume(),
            Self::Table(queue) => queue.consume(),
        }
    }

    /// Where the jobs are, in the words of `queue.backend`.
    pub fn backend(&self) -> &'static str {
        match self {
            Self::Bull(_) => "redis",
            Self::Table(_) => "database",
        }
    }

    /// Adds a job. One whose own id is known already is not added again.
    ///
    /// # Errors
    /// [`QueueError::Refused`] for an id or priority that cannot be, [`QueueError::Unavailable`].
    pub async fn add(&self, job: NewJob) -> Result<Added, QueueError> {
        job.check()?;
        match self {
            Self::Bull(queue) => queue.add(job).await,
            Self::Table(queue) => queue.add(job).await,
        }
    }

    /// Jobs in one state, or all: the latest first, at most `limit` of each state.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn list(
        &self,
        state: Option<JobState>,
        limit: u64,
    ) -> Result<Vec<Entry>, QueueError> {
        let states = state.map_or(JobState::ALL.to_vec(), |state| vec![state]);
        match self {
            Self::Bull(queue) => queue.list(&states, limit).await,
            Self::Table(queue) => queue.list(&states, limit).await,
        }
    }

    /// One job.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Unavailable`].
    pub async fn show(&self, id: &str) -> Result<Entry, QueueError> {
        match self {
            Self::Bull(queue) => queue.show(id).await,
            Self::Table(queue) => queue.show(id).await,
        }
    }

    /// Lets a failed job run once more. Attempts made before still count.
    ///
    /// # Errors
    /// [`QueueError::NotFound`]; [`QueueError::Refused`] for one that has not failed;
    /// [`QueueError::Unavailable`].
    pub async fn retry(&self, id: &str) -> Result<(), QueueError> {
        match self {
            Self::Bull(queue) => queue.retry(id).await,
            Self::Table(queue) => queue.retry(id).await,
        }
    }

    /// How many jobs are in each state.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        match self {
            Self::Bull(queue) => queue.counts().await,
            Self::Table(queue) => queue.counts().await,
        }
    }
}
