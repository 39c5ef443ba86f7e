//! A job: as it is added, as it is handed out, and what may become of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::oneshot;

use super::QueueError;
use crate::domain::jobs::JobKey;

/// The lowest urgency. 1 is the highest, and 0 is none, which goes before all.
pub const MOST_PRIORITY: u32 = 2_097_151;
/// Longer ids are refused.
const LONGEST_ID: usize = 128;

/// A job in hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Which job.
    pub key: JobKey,
    /// The name that its producer gave it.
    pub name: String,
    /// What its producer wants, see [`Payload`](super::Payload): JSON, unless the producer wrote
    /// something else.
    pub data: String,
    /// When it could run first: when it was added, plus the delay that it was added with.
    pub due_at: DateTime<Utc>,
    /// 0 is none, and goes first; then the lower goes first.
    pub priority: u32,
    /// How often it may be attempted, at least once.
    pub attempts: u32,
    /// Attempts that have ended, all without success.
    pub attempts_made: u32,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done; what its producer is told.
    Completed(Value),
    /// This attempt failed for this reason. It is attempted again if its producer allowed so many
    /// attempts, after the backoff that its producer chose.
    Retry(String),
    /// Failed for this reason, for good.
    Failed(String),
    /// To be handed out again after so long. Costs no attempt.
    Later(Duration),
    /// Not begun: handed back, to the front of its peers. Costs no attempt.
    Released,
}

/// A job that was handed out. It is in hand, its lease renewed, until it is settled; one that is
/// dropped is handed back.
#[derive(Debug)]
pub struct Taken {
    /// The job.
    pub job: Job,
    answer: oneshot::Sender<Outcome>,
}

impl Taken {
    /// A job in hand, and where its outcome will come.
    pub(super) fn new(job: Job) -> (Self, Settled) {
        let (answer, settled) = oneshot::channel();
        (Self { job, answer }, Settled(settled))
    }

    /// Says what became of it. The queue records it as soon as it can; where it cannot for so long
    /// that the lease runs out, the job is handed out again.
    pub fn settle(self, outcome: Outcome) {
        // Fails only where the consumer was closed: the job is handed out again.
        let _ = self.answer.send(outcome);
    }
}

/// Where the outcome of a job in hand comes.
pub(super) struct Settled(oneshot::Receiver<Outcome>);

impl Settled {
    pub(super) async fn outcome(self) -> Outcome {
        self.0.await.unwrap_or(Outcome::Released)
    }
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Always as long.
    Fixed(Duration),
    /// Twice as long each time.
    Exponential(Duration),
}

impl Backoff {
    /// The wait after so many failed attempts, from 1.
    pub fn after(self, attempts_made: u32) -> Duration {
        match self {
            Self::Fixed(delay) => delay,
            Self::Exponential(first) => {
                let doublings = attempts_made.saturating_sub(1).min(31);
                first.saturating_mul(1 << doublings)
            }
        }
    }
}

/// A job to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// An id of its own: a job whose id is known is not added again. Otherwise it gets a number.
    pub id: Option<String>,
    /// What it asks for.
    pub data: Value,
    /// 0 is none, and goes first; then the lower goes first.
    pub priority: u32,
    /// Not to be handed out before.
    pub delay: Duration,
    /// How often it may be attempted.
    pub attempts: u32,
    /// Between attempts; none: at once.
    pub backoff: Option<Backoff>,
    /// Completed jobs to keep when this one completes; none: as the queue is configured.
    pub keep_completed: Option<u64>,
    /// Failed jobs to keep when this one fails; none: as the queue is configured.
    pub keep_failed: Option<u64>,
}

impl NewJob {
    /// The name that jobs from here bear.
    pub(super) const NAME: &'static str = "execute-automation";

    /// The rules of BullMQ, so that both backends refuse the same.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        if self.priority > MOST_PRIORITY {
            let what = format!("a priority is 0 to {MOST_PRIORITY}");
            return Err(QueueError::Refused(what));
        }
        let Some(id) = &self.id else { return Ok(()) };
        let number = id.bytes().all(|byte| byte.is_ascii_digit());
        let control = id.chars().any(char::is_control);
        if number || control || id.len() > LONGEST_ID || id.contains(':') {
            return Err(QueueError::Refused(format!(
                "a job's own id is text of 1 to {LONGEST_ID} characters that is no number and has \
                 no colon; leave it out to have one made"
            )));
        }
        Ok(())
    }
}

/// What came of adding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The job's id.
    pub id: String,
    /// Whether a job of that id was there already: then nothing was added.
    pub existed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_counted_as_the_producer_counts() {
        let second = Duration::from_secs(1);
        let waits = |backoff: Backoff| [1, 2, 3, 4].map(|made| backoff.after(made).as_secs());
        assert_eq!(waits(Backoff::Exponential(2 * second)), [2, 4, 8, 16]);
        assert_eq!(waits(Backoff::Fixed(3 * second)), [3, 3, 3, 3]);
        assert!(Backoff::Exponential(second).after(u32::MAX) > second);
    }

    #[test]
    fn ids_and_priorities_that_the_producer_could_not_give_are_refused() {
        let job = |id: &str, priority| NewJob {
            id: Some(id.to_owned()),
            data: Value::Null,
            priority,
            delay: Duration::ZERO,
            attempts: 1,
            backoff: None,
            keep_completed: None,
            keep_failed: None,
        };
        assert!(job("close-7", 8).check().is_ok());
        for (id, priority) in [("", 8), ("17", 8), ("a:b", 8), ("a\n", 8), ("a", 2_097_152)] {
            assert!(job(id, priority).check().is_err(), "{id:?} {priority}");
        }
        assert!(job(&"x".repeat(LONGEST_ID + 1), 8).check().is_err());
    }

    #[tokio::test]
    async fn a_job_that_is_dropped_is_handed_back() {
        let job = Job {
            key: JobKey::new("1", 1),
            name: String::new(),
            data: String::new(),
            due_at: DateTime::UNIX_EPOCH,
            priority: 0,
            attempts: 1,
            attempts_made: 0,
        };
        let (taken, settled) = Taken::new(job.clone());
        drop(taken);
        assert_eq!(settled.outcome().await, Outcome::Released);
        let (taken, settled) = Taken::new(job);
        taken.settle(Outcome::Failed("why".to_owned()));
        assert_eq!(settled.outcome().await, Outcome::Failed("why".to_owned()));
    }
}
