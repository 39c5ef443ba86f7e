//! Jobs in hand: from the crate's worker to whoever carries them out, and back.

use std::sync::{Arc, Mutex, PoisonError};

use bullmq::Error;
use bullmq::redis_connection::RedisConnection;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::heartbeat::RETRY;
use super::link::Link;
use super::settled::Settled;
use super::{FETCH_RETRY, Shared, notes, repair};
use crate::domain::jobs::JobKey;
use crate::failpoint;
use crate::queue::{Job, Outcome, Taken};

/// What the crate is to do with a job that was dealt with here: nothing.
const DEALT_WITH: Error = Error::Delayed;

pub(super) struct Hands {
    shared: Arc<Shared>,
    taken: mpsc::Sender<Taken>,
    link: Link,
    connection: Mutex<Option<RedisConnection>>,
    settled: Mutex<Settled>,
    stop: watch::Receiver<bool>,
}

impl Hands {
    pub(super) fn new(
        shared: Arc<Shared>,
        taken: mpsc::Sender<Taken>,
        link: Link,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stop,
            shared,
            taken,
            link,
            connection: Mutex::new(None),
            settled: Mutex::new(Settled::default()),
        }
    }

    /// Connects anew: a connection that has been through an outage comes back late.
    pub(super) async fn connect(&self) -> bullmq::Result<()> {
        let connection = RedisConnection::new_managed_only(&self.shared.connection()).await?;
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(())
    }

    /// Hands a job out, waits for its outcome, and tells the crate what to record.
    pub(super) async fn carry_out(&self, job: bullmq::Job) -> bullmq::Result<Value> {
        let _in_hand = self.link.in_hand();
        let Some(taken) = self.read(&job).await else {
            return Err(DEALT_WITH);
        };
        let (key, attempts_made, stalls) = (taken.key.clone(), taken.attempts_made, stalls(&job));
        let remembered = self.settled().unrecorded(&key, attempts_made, stalls);
        let outcome = match remembered {
            Some(outcome) => outcome,
            None => {
                let (taken, settled) = Taken::new(taken);
                // Fails only when the consumer is closed: then the job is handed back.
                let _ = self.taken.send(taken).await;
                settled.outcome().await
            }
        };
        let ends = match &outcome {
            Outcome::Completed(_) => None,
            Outcome::Retry(reason) | Outcome::Failed(reason) => Some(notes::cut(reason)),
            Outcome::Later(_) | Outcome::Released => {
                self.put_back(&job, &outcome).await;
                return Err(DEALT_WITH);
            }
        };
        self.settled()
            .remember(&key, attempts_made, stalls, &outcome);
        if let Some(reason) = &ends {
            self.insist(&job, Act::Note(reason)).await;
        }
        // What the crate cannot record it forgets, and the first command on a connection that has
        // been through an outage fails. So it is told when its own connection has proven to be good.
        self.insist(&job, Act::Hold).await;
        failpoint::pass("job.acknowledged", &key.id);
        match (outcome, ends) {
            (Outcome::Completed(value), _) => Ok(value),
            (Outcome::Failed(_), Some(reason)) => Err(Error::Unrecoverable(reason)),
            (_, reason) => Err(Error::ProcessingError(reason.unwrap_or_default())),
        }
    }

    /// The job as it is handed out; none where it was put back to be read again.
    async fn read(&self, job: &bullmq::Job) -> Option<Job> {
        let options = job.opts();
        if options.attempts.is_none() && self.repair(job).await {
            return None;
        }
        let data = match job.data() {
            // What is no JSON looks like null.
            Value::Null => self
                .insist(job, Act::Read("data"))
                .await?
                .unwrap_or_default(),
            data => data.to_string(),
        };
        let added_at = i64::try_from(job.timestamp()).unwrap_or(i64::MAX);
        let delay = i64::try_from(options.delay.unwrap_or(0)).unwrap_or(i64::MAX);
        Some(Job {
            key: JobKey::new(job.id(), added_at),
            name: job.name().to_owned(),
            data,
            due_at: time(added_at.saturating_add(delay)),
            priority: job.priority(),
            attempts: options.attempts.unwrap_or(0).max(1),
            attempts_made: job.attempts_made(),
        })
    }

    /// Rewrites options that the crate could not read, and puts the job back: to the front of its
    /// peers, so it comes again at once. Whether it did.
    async fn repair(&self, job: &bullmq::Job) -> bool {
        let stored = self.insist(job, Act::Read("opts")).await.flatten();
        let Some(options) = stored.and_then(|options| repair::readable(&options)) else {
            return false;
        };
        self.insist(job, Act::Write("opts", &options)).await;
        self.put_back(job, &Outcome::Released).await;
        if let Some(scheduler) = job.repeat_job_key() {
            self.outwait(job, scheduler).await;
        }
        true
    }

    /// Hands a job back: for later, or at once.
    async fn put_back(&self, job: &bullmq::Job, outcome: &Outcome) {
        let act = match outcome {
            Outcome::Later(delay) => {
                let delay = TimeDelta::from_std(*delay).unwrap_or(TimeDelta::MAX);
                let due = self.shared.clock.utc().checked_add_signed(delay);
                let due = due.unwrap_or(DateTime::<Utc>::MAX_UTC).timestamp_millis();
                Act::Delay(u64::try_from(due).unwrap_or(0))
            }
            _ => Act::Release,
        };
        self.insist(job, act).await;
    }

    /// Does something at Redis, again and again while it does not answer. None where Redis refused,
    /// or nobody watches it any more: the job's lock runs out, and it is handed out again.
    pub(super) async fn insist(&self, job: &bullmq::Job, act: Act<'_>) -> Option<Option<String>> {
        while self.link.answers().await {
            let connection = self.connection.lock();
            let connection = connection.unwrap_or_else(PoisonError::into_inner).clone();
            match act.carry_out(&connection?, &self.shared, job).await {
                Ok(read) => return Some(read),
                Err(Error::Redis(error)) => {
                    // One with a code is an answer: Redis is there, and refuses for now.
                    let refused = error.code().is_some();
                    sleep(if refused { FETCH_RETRY } else { RETRY }).await;
                }
                Err(error) => {
                    tracing::warn!(event = "job.unsettled", job = job.id(), %error);
                    return None;
                }
            }
        }
        None
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Whether the consumer is being closed.
    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is done at Redis for a job in hand.
pub(super) enum Act<'a> {
    /// Reads a field of its hash.
    Read(&'a str),
    /// Writes one.
    Write(&'a str, &'a str),
    /// Notes why the attempt failed.
    Note(&'a str),
    /// Renews its lock, on the connection on which it was taken.
    Hold,
    /// Puts it back until this time, in milliseconds since 1970.
    Delay(u64),
    /// Puts it back to the front of its peers.
    Release,
    /// Reads for when this scheduler's next job is armed.
    Armed(&'a str),
    /// Lets this scheduler arm nothing more.
    Disarm(&'a str),
}

impl Act<'_> {
    async fn carry_out(
        &self,
        redis: &RedisConnection,
        shared: &Shared,
        job: &bullmq::Job,
    ) -> bullmq::Result<Option<String>> {
        let key = shared.keys.job_key(job.id());
        match self {
            Self::Read(field) => {
                let mut get = redis::cmd("HGET");
                return redis.cmd(get.arg(key).arg(field)).await;
            }
            Self::Write(field, value) => {
                let mut set = redis::cmd("HSET");
                redis.cmd::<i64>(set.arg(key).arg(field).arg(value)).await?;
            }
            Self::Note(reason) => notes::note(redis, &key, reason).await?,
            Self::Armed(scheduler) => {
                let mut get = redis::cmd("ZSCORE");
                return redis
                    .cmd(get.arg(shared.keys.repeat()).arg(scheduler))
                    .await;
            }
            Self::Disarm(scheduler) => {
                let mut remove = redis::cmd("ZREM");
                let repeat = shared.keys.repeat();
                redis.cmd::<i64>(remove.arg(repeat).arg(scheduler)).await?;
            }
            Self::Hold => {
                let lock = u64::try_from(shared.options.lock.as_millis()).unwrap_or(u64::MAX);
                let token = job.token().unwrap_or_default();
                job.extend_lock(token, lock).await?;
            }
            Self::Delay(until) => job.move_to_delayed(*until).await?,
            Self::Release => {
                job.move_to_wait(None).await?;
            }
        }
        Ok(None)
    }
}

/// How often the job has stalled. The crate tells it only so.
fn stalls(job: &bullmq::Job) -> u32 {
    let fields = job.to_redis_hash();
    let stalls = fields.iter().find(|(field, _)| field == "stc");
    stalls
        .and_then(|(_, count)| count.parse().ok())
        .unwrap_or(0)
}

pub(super) fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
