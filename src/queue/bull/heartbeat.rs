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

pub(super) struct Heartbeat {
    client: Client,
    meta: String,
    connection: Option<MultiplexedConnection>,
}

impl Heartbeat {
    pub(super) fn new(shared: &Shared) -> Result<Self, String> {
        let client = Client::open(shared.url.expose_secret()).map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            meta: shared.keys.meta(),
            connection: None,
        })
    }

    /// Asks whether the queue is paused: that Redis can tell means that it serves, which `PING`
    /// alone does not (it is answered while a snapshot is loaded, and before a login).
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn beat(&mut self) -> Result<bool, String> {
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
        let mut asked = redis::cmd("HEXISTS");
        asked.arg(&self.meta).arg("paused");
        let paused = in_time(asked.query_async::<bool>(&mut connection)).await?;
        self.connection = Some(connection);
        Ok(paused)
    }
}

async fn in_time<T>(
    asked: impl Future<Output = Result<T, redis::RedisError>>,
) -> Result<T, String> {
    match timeout(DEADLINE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} ms", DEADLINE.as_millis())),
    }
}
