//! A database on a server of PostgreSQL, and the connections to it. All that is vigia's lies in a
//! schema of its own, so that the database may be another application's too.

use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::sqlx::{ConnectOptions, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, SqlxPostgresConnector};

use super::codes;
use super::error::StoreError;

/// Connections that only read. When all are in use, a reader waits for one, as long as it wants.
const READERS: u32 = 4;
/// How long a first connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// How long a lost connection is tried to be made again before whoever needs it is told: longer
/// than a server takes to restart, shorter than callers wait by default.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Of every connection. A lock is waited for less long than a caller waits, so that they hear of
/// the lock and not of a silence; a process that is stopped in the middle of a transaction must not
/// keep a standby from taking over; what was answered is on disk.
const EVERY: &str = "\
    SET search_path = vigia; \
    SET default_transaction_isolation = 'read committed'; \
    SET lock_timeout = '4s'; \
    SET idle_in_transaction_session_timeout = '5s'; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";
/// Of the connections that read.
const READING: &str = "SET default_transaction_read_only = on";

/// Makes the schema. Asked first: without the right to make one, a schema that stands will do.
const MAKE_SCHEMA: &str = "DO $$ BEGIN \
     IF to_regnamespace('vigia') IS NULL THEN CREATE SCHEMA vigia; END IF; \
     END $$";
/// One process at a time changes tables; the number is any that nobody else uses.
const LOCK: &str = "SELECT pg_advisory_lock(8462377501)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(8462377501)";

/// A server, a database, and how to log in.
#[derive(Clone)]
pub(super) struct Server {
    // Holds the password: never printed.
    options: PgConnectOptions,
}

impl Server {
    /// How long one commit may take before its connection is given up.
    pub(super) const COMMIT_DEADLINE: Duration = Duration::from_secs(10);
    /// How long closing may take.
    pub(super) const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            StoreError::Refused(format!(
                "the address of the PostgreSQL database cannot be read ({error}): give \
                 postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters in it as %XX"
            ))
        })?;
        // Statements hold what is sealed, and what nobody's log should.
        let options = options
            .application_name("vigia")
            .disable_statement_logging();
        Ok(Self { options })
    }

    /// Opens the connection that writes.
    pub(super) async fn connect_writer(&self) -> Result<DatabaseConnection, StoreError> {
        // Apart from the pool, which tries on and forgets why.
        let connecting = tokio::time::timeout(CONNECT_DEADLINE, self.options.connect());
        match connecting.await {
            Ok(Ok(tried)) => drop(tried.close().await),
            Ok(Err(error)) => return Err(self.named(codes::of_sqlx(&error))),
            Err(_) => {
                let limit = CONNECT_DEADLINE.as_secs();
                return Err(self.named(StoreError::unavailable(format!(
                    "it does not answer within {limit} s; see whether its machine can be reached"
                ))));
            }
        }
        Ok(self.pool(1, false))
    }

    /// An error that says which server is not there.
    fn named(&self, error: StoreError) -> StoreError {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match error {
            StoreError::Unavailable { what } => {
                StoreError::unavailable(format!("PostgreSQL at {host}:{port}: {what}"))
            }
            other => other,
        }
    }

    /// The connections that read. Each is opened when it is first needed.
    pub(super) fn connect_readers(&self) -> DatabaseConnection {
        self.pool(READERS, true)
    }

    fn pool(&self, most: u32, only_reads: bool) -> DatabaseConnection {
        let pool: PgPool = PgPoolOptions::new()
            .max_connections(most)
            .min_connections(0)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A server that has restarted is met with a new connection, not with an error.
            .test_before_acquire(true)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(EVERY).await?;
                    if only_reads {
                        connection.execute(READING).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone());
        SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
    }
}

/// Keeps other processes from changing tables, and makes the schema. On the one connection that
/// writes; undone by [`let_others_migrate`].
pub(super) async fn migrate_alone(db: &DatabaseConnection) -> Result<(), DbErr> {
    db.execute_unprepared(LOCK).await?;
    let made = db.execute_unprepared(MAKE_SCHEMA).await;
    if made.is_err() {
        let_others_migrate(db).await;
    }
    made.map(|_| ())
}

/// Lets other processes change tables again.
pub(super) async fn let_others_migrate(db: &DatabaseConnection) {
    // The lock goes with the connection, if not now.
    let _ = db.execute_unprepared(UNLOCK).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_refused_without_its_password() {
        for url in [
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@h:99999/db",
            "postgres://u:hunter2@[h/db",
            "postgres://u:hunter2@h/db?sslmode=sometimes",
        ] {
            let Err(error) = Server::parse(url) else {
                panic!("{url}");
            };
            let error = error.to_string();
            assert!(
                error.contains("%XX") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
