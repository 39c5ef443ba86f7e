//! Whether Redis answers. The crate's worker finds out late, and comes back later still; so Redis
//! is asked on a connection of its own, with deadlines of its own.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::Shared;

/// Between questions while Redis answers.
pub(super) const PERIOD: Duration = Duration::from_millis(500);
/// Between questions while it does not.
pub(super) const RETRY: Duration = Duration::from_millis(150);
/// A Redis that has not answered for so long counts as lost. Longer than it takes to fork for a
/// snapshot of a queue.
const DEADLINE: Duration = Duration::from_secs(1);

/// Before this major version, BullMQ moves the jobs of a paused queue to a list of their own, and when
/// it is resumed puts that list in the place of the other: whatever has come to the other meanwhile is
/// lost. The crate's scripts are of a later version and know only the one list.
const APART_UNTIL: u32 = 6;
/// At once at most so many jobs.
const SET_APART: &str = r"
if redis.call('HEXISTS', KEYS[1], 'paused') == 0 then return 0 end
local moved = 0
while moved < 1000 and redis.call('RPOPLPUSH', KEYS[2], KEYS[3]) do moved = moved + 1 end
return moved";

/// Whether and how a queue is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It is not.
    None,
    /// Its jobs stay where they were.
    InPlace,
    /// Its jobs without a priority are in a list apart.
    Apart,
}

pub(super) struct Heartbeat {
    client: Client,
    meta: String,
    wait: String,
    paused: String,
    prioritized: String,
    jobs: String,
    connection: Option<MultiplexedConnection>,
}

impl Heartbeat {
    pub(super) fn new(shared: &Shared) -> Result<Self, String> {
        let client = Client::open(shared.url.expose_secret()).map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            meta: shared.keys.meta(),
            wait: shared.keys.wait(),
            paused: shared.keys.paused(),
            prioritized: shared.keys.prioritized(),
            jobs: shared.keys.job_key(""),
            connection: None,
        })
    }

    /// Asks whether the queue is paused: that Redis can tell means that it serves, which `PING`
    /// alone does not (it is answered while a snapshot is loaded, and before a login).
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn beat(&mut self) -> Result<Pause, String> {
        let mut asked = redis::cmd("HMGET");
        asked.arg(&self.meta).arg("paused").arg("version");
        let (paused, version): (Option<String>, Option<String>) = self.ask(&asked).await?;
        Ok(match (paused, version.as_deref().and_then(major)) {
            (None, _) => Pause::None,
            (Some(_), Some(..APART_UNTIL)) => Pause::Apart,
            (Some(_), _) => Pause::InPlace,
        })
    }

    /// Puts jobs that have come to the list of waiting ones where those of a queue paused apart are.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn set_apart(&mut self) -> Result<(), String> {
        let mut moved = redis::cmd("EVAL");
        moved.arg(SET_APART).arg(3);
        moved.arg(&self.meta).arg(&self.wait).arg(&self.paused);
        self.ask::<i64>(&moved).await.map(|_| ())
    }

    /// A script with the keys of waiting jobs, of those with a priority, and of the queue's settings.
    pub(super) fn eval(&self, script: &str) -> redis::Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(3);
        eval.arg(&self.wait).arg(&self.prioritized).arg(&self.meta);
        eval
    }

    /// What stands before a job's id in its key.
    pub(super) fn jobs(&self) -> &str {
        &self.jobs
    }

    /// Asks anything.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask<T: redis::FromRedisValue>(
        &mut self,
        asked: &redis::Cmd,
    ) -> Result<T, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(DEADLINE))
                    .set_response_timeout(Some(DEADLINE));
                let connecting = self
                    .client
                    .get_multiplexed_async_connection_with_config(&config);
                in_time(connecting).await?
            }
        };
        let answer = in_time(asked.query_async::<T>(&mut connection)).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

/// The major version in `bullmq:5.81.5`.
fn major(version: &str) -> Option<u32> {
    let (_, number) = version.rsplit_once(':')?;
    number.split('.').next()?.parse().ok()
}

async fn in_time<T>(
    asked: impl Future<Output = Result<T, redis::RedisError>>,
) -> Result<T, String> {
    match timeout(DEADLINE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", DEADLINE.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major("bullmq:5.81.5"), Some(5));
        assert_eq!(major("bullmq:10.0.0-rc.1"), Some(10));
        assert_eq!(major("else"), None);
    }
}
