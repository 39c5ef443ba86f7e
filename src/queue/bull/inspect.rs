//! Adding jobs and showing them, for commands: each on connections of its own.

use std::time::Duration;

use bullmq::JobOptions;
use bullmq::types::{BackoffStrategy, JobState as BullState};
use serde_json::Value;
use tokio::time::timeout;

use super::hands::time;
use super::{BullQueue, PATIENCE, keep, unavailable};
use crate::queue::{Added, Backoff, Counts, Entry, JobState, NewJob, QueueError};

impl BullQueue {
    pub(in crate::queue) async fn add(&self, job: NewJob) -> Result<Added, QueueError> {
        let (queue, _) = self.open().await?;
        in_time(async {
            let existed = match &job.id {
                Some(id) => queue.get_job(id).await?.is_some(),
                None => false,
            };
            let defaults = &self.shared.options;
            let kept = |own: Option<u64>, default| Some(keep(own.unwrap_or(default)));
            let options = JobOptions {
                attempts: Some(job.attempts.max(1)),
                backoff: job.backoff.map(|backoff| match backoff {
                    Backoff::Fixed(delay) => BackoffStrategy::Fixed(millis(delay)),
                    Backoff::Exponential(first) => BackoffStrategy::Exponential(millis(first)),
                }),
                delay: (!job.delay.is_zero()).then(|| millis(job.delay)),
                priority: Some(job.priority),
                job_id: job.id.clone(),
                remove_on_complete: kept(job.keep_completed, defaults.keep_completed),
                remove_on_fail: kept(job.keep_failed, defaults.keep_failed),
                ..JobOptions::default()
            };
            let added = queue.add(NewJob::NAME, &job.data).options(options).await?;
            Ok(Added {
                id: added.id().to_owned(),
                existed,
            })
        })
        .await
    }

    pub(in crate::queue) async fn list(
        &self,
        states: &[JobState],
        limit: u64,
    ) -> Result<Vec<Entry>, QueueError> {
        let (queue, _) = self.open().await?;
        let last = i64::try_from(limit).unwrap_or(i64::MAX) - 1;
        if last < 0 {
            return Ok(vec![]);
        }
        let mut entries = vec![];
        for state in states {
            // Two lists: jobs without a priority, and those with one.
            let lists: &[&str] = match state {
                JobState::Waiting => &["waiting", "prioritized"],
                other => &[other.as_str()],
            };
            let mut found = vec![];
            for list in lists {
                let jobs = in_time(queue.get_jobs(&[list], 0, last, false)).await?;
                found.extend(jobs.iter().map(|job| entry(job, *state)));
            }
            found.sort_by_key(|entry| {
                std::cmp::Reverse(entry.finished_at.unwrap_or(entry.added_at))
            });
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            entries.extend(found);
        }
        Ok(entries)
    }

    pub(in crate::queue) async fn show(&self, id: &str) -> Result<Entry, QueueError> {
        let (queue, _) = self.open().await?;
        let (job, state) = find(&queue, id).await?;
        Ok(entry(&job, state))
    }

    pub(in crate::queue) async fn retry(&self, id: &str) -> Result<(), QueueError> {
        let (queue, _) = self.open().await?;
        let (mut job, state) = find(&queue, id).await?;
        if state != JobState::Failed {
            return Err(QueueError::Refused(format!(
                "job `{id}` is {state}: only one that has failed can be tried again"
            )));
        }
        in_time(job.retry("failed", None)).await
    }

    pub(in crate::queue) async fn counts(&self) -> Result<Counts, QueueError> {
        let (queue, paused) = self.open().await?;
        let counts = in_time(queue.get_job_counts()).await?;
        Ok(Counts {
            waiting: counts.waiting + counts.prioritized + counts.paused,
            delayed: counts.delayed,
            active: counts.active,
            completed: counts.completed,
            failed: counts.failed,
            paused,
        })
    }
}

async fn find(queue: &bullmq::Queue, id: &str) -> Result<(bullmq::Job, JobState), QueueError> {
    let not_found = || QueueError::NotFound(id.to_owned());
    // The state first: a job that is shown as completed must show what it came to.
    let state = match in_time(queue.get_job_state(id)).await? {
        BullState::Delayed => JobState::Delayed,
        BullState::Active => JobState::Active,
        BullState::Completed => JobState::Completed,
        BullState::Failed => JobState::Failed,
        // A hash that is in no list is left over: nothing will be done with it.
        BullState::Unknown => return Err(not_found()),
        _ => JobState::Waiting,
    };
    let job = in_time(queue.get_job(id)).await?.ok_or_else(not_found)?;
    Ok((job, state))
}

fn entry(job: &bullmq::Job, state: JobState) -> Entry {
    let at = |milliseconds: u64| time(i64::try_from(milliseconds).unwrap_or(i64::MAX));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let returned = |text: &str| {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        (!text.is_empty()).then_some(value)
    };
    let delayed = state == JobState::Delayed;
    Entry {
        id: job.id().to_owned(),
        name: job.name().to_owned(),
        state,
        priority: job.priority(),
        data: job.data().clone(),
        attempts: job.opts().attempts.unwrap_or(0).max(1),
        attempts_made: job.attempts_made(),
        added_at: at(job.timestamp()),
        // For a retry, the delay counts from the last attempt.
        due_at: delayed.then(|| at(job.processed_on().unwrap_or(job.timestamp()) + job.delay())),
        taken_at: job.processed_on().map(at),
        finished_at: job.finished_on().map(at),
        return_value: returned(job.returnvalue()),
        failed_reason: text(job.failed_reason()),
    }
}

async fn in_time<T>(asked: impl Future<Output = bullmq::Result<T>>) -> Result<T, QueueError> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(unavailable("it does not answer")),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
