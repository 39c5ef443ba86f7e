//! The queue on Redis, shared with Node applications: BullMQ's, through its official crate.
//!
//! The crate takes jobs, renews their locks, recovers stalled ones and records outcomes, with
//! BullMQ's own scripts. What is ours: `heartbeat` watches Redis, and `crew` renews the crate's
//! worker as soon as it answers again; `forward` lets no flood stand before all others; `hands` turns
//! jobs in hand into outcomes; `repair` makes options readable that the crate cannot read, and
//! `parked` keeps schedulers going whose first job had such; `notes` writes down why an attempt
//! failed.

mod crew;
mod forward;
mod hands;
mod heartbeat;
mod inspect;
mod link;
mod notes;
mod parked;
mod repair;
mod settled;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bullmq::options::RedisConnectionOptions;
use bullmq::types::RemoveOnFinish;
use bullmq::{QueueKeys, QueueOptions as BullOptions, WorkerOptions};
use secrecy::{ExposeSecret, SecretString};

use super::{Consumer, QueueError, QueueOptions};
use crate::clock::Clock;

/// Longer than this a command line does not wait for Redis.
const PATIENCE: Duration = Duration::from_secs(3);
/// How the worker is called in dashboards.
const WORKER: &str = "vigia";
/// After an error of one fetch. Outages are found by the heartbeat.
const FETCH_RETRY: Duration = Duration::from_millis(500);

/// A BullMQ queue.
#[derive(Clone)]
pub struct BullQueue {
    shared: Arc<Shared>,
}

struct Shared {
    url: SecretString,
    prefix: String,
    options: QueueOptions,
    keys: QueueKeys,
    clock: Clock,
}

impl fmt::Debug for BullQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BullQueue({})", self.shared.keys.base())
    }
}

impl BullQueue {
    /// The queue at a Redis; nothing is connected yet. `url` is `redis://…` or, with TLS,
    /// `rediss://…`; `prefix` is that of the Node applications, `bull` unless they set another.
    ///
    /// # Errors
    /// [`QueueError::Refused`] for an address or a name that cannot be one.
    pub fn new(
        url: &str,
        prefix: &str,
        options: QueueOptions,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        if redis::Client::open(url).is_err() {
            // The address may hold a password: it is not repeated.
            let what = "the address of Redis cannot be read: it is redis://HOST:PORT or, with \
                        TLS, rediss://HOST:PORT (queue.redis_url, REDIS_URL)";
            return Err(QueueError::Refused(what.to_owned()));
        }
        let name = &options.name;
        if name.is_empty() || name.contains(':') || prefix.is_empty() || prefix.contains(':') {
            let what = "a queue's name and prefix are text without colons (queue.name, \
                        queue.prefix)";
            return Err(QueueError::Refused(what.to_owned()));
        }
        let keys = QueueKeys::new(name, Some(prefix));
        Ok(Self {
            shared: Arc::new(Shared {
                url: SecretString::from(url),
                prefix: prefix.to_owned(),
                options,
                keys,
                clock,
            }),
        })
    }

    pub(super) fn consume(&self) -> Consumer {
        let shared = Arc::clone(&self.shared);
        Consumer::start(self.shared.options.take, |inlet| crew::serve(shared, inlet))
    }

    /// A connection for a command that somebody waits for, and whether the queue is paused.
    async fn open(&self) -> Result<(bullmq::Queue, bool), QueueError> {
        let options = BullOptions::new()
            .connection(self.shared.connection())
            .prefix(self.shared.prefix.as_str());
        // Asked first on a connection of our own: the crate goes on trying for a long time.
        let mut heartbeat = heartbeat::Heartbeat::new(&self.shared).map_err(unavailable)?;
        let pause = heartbeat.beat().await.map_err(unavailable)?;
        let paused = pause != heartbeat::Pause::None;
        let opened = bullmq::Queue::with_options(&self.shared.options.name, options);
        match tokio::time::timeout(PATIENCE, opened).await {
            Ok(opened) => Ok((opened.map_err(unavailable)?, paused)),
            Err(_) => Err(unavailable("it does not answer")),
        }
    }
}

impl Shared {
    fn connection(&self) -> RedisConnectionOptions {
        RedisConnectionOptions::new().url(self.url.expose_secret())
    }

    fn worker_options(&self, concurrency: usize) -> WorkerOptions {
        let options = &self.options;
        WorkerOptions::new()
            .connection(self.connection())
            .prefix(self.prefix.as_str())
            .name(WORKER)
            .concurrency(concurrency)
            .lock_duration(options.lock)
            .stalled_interval(options.stalled_every)
            .max_stalled_count(options.most_stalls)
            .drain_delay(options.poll.max(Duration::from_secs(1)))
            .run_retry_delay(FETCH_RETRY)
            .remove_on_complete(keep(options.keep_completed))
            .remove_on_fail(keep(options.keep_failed))
    }
}

fn keep(count: u64) -> RemoveOnFinish {
    RemoveOnFinish::Count(usize::try_from(count).unwrap_or(usize::MAX))
}

fn unavailable(cause: impl fmt::Display) -> QueueError {
    QueueError::Unavailable {
        queue: "the Redis of queue.redis_url (REDIS_URL)",
        cause: cause.to_string(),
    }
}
