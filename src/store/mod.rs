//! The store: accounts, automations, ownership, and the tables of the journal, in one file of SQLite
//! or a schema of PostgreSQL.
//!
//! Reading order: [`Store`] opens and closes; [`writer`](QUEUE) says how writes queue and batch;
//! [`vault`] seals credentials; [`folder`] keeps a second process out of a file, [`Lease`] out of a
//! server.

mod accounts;
mod automations;
mod backlog;
mod codes;
pub(crate) mod entity;
mod error;
pub mod folder;
mod import;
mod kill_switches;
mod lease;
mod location;
mod lock_file;
mod migrate;
mod outbox;
mod owners;
mod pauses;
mod postgres;
mod protections;
mod removal;
mod rotation;
mod rows;
mod socket_attempts;
mod sqlite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_moved;
#[cfg(test)]
mod tests_postgres;
#[cfg(test)]
mod tests_sqlite;
#[cfg(test)]
mod tests_writer;
pub mod vault;
mod write_counts;
mod writer;

use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseExecutor};
use tokio::runtime::Handle;

pub use accounts::{Account, NewAccount};
pub use automations::{Automation, NewAutomation};
pub use error::StoreError;
pub use import::{KeptAccount, KeptAutomation};
pub use lease::{Lease, LeaseTerms, Lost};
pub use migrate::MigrationReport;
pub use outbox::{NoticeState, StoredNotice};
pub use owners::{Claim, Claimant, Epoch, Owner};
pub use pauses::Pause;
pub use rows::Listed;
pub use socket_attempts::SocketAttempt;
pub use vault::{Vault, VaultError};
pub use write_counts::WriteCounts;
pub use writer::QUEUE;

pub(crate) use kill_switches::{Acting, held_back};
use location::Location;
pub(crate) use outbox::{name_of, put as put_notice};
pub(crate) use owners::TRADING;
pub(crate) use pauses::{pause, paused, tell_of as tell_of_pause};
pub(crate) use protections::{forget_failures, note_failure, of_account as protections_of};
pub(crate) use rows::list;
pub(crate) use write_counts::Fault;
use writer::Writer;
pub(crate) use writer::{Course, Kind, Turn};

use crate::domain::notice::Kinds;

/// How long a caller waits for an answer unless it says otherwise, see [`Store::with_patience`].
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A handle of the store; clones share it. It may be used from any thread that has a tokio runtime.
///
/// Every operation ends within the handle's patience, with [`StoreError::Unavailable`] if the
/// database has not answered by then; a write that nobody waits for any more is dropped if it has
/// not begun.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    patience: Duration,
    /// What is told outside, and so written to the outbox.
    told: Kinds,
}

struct Shared {
    writer: Writer,
    readers: DatabaseConnection,
    location: Location,
    /// The runtime that drives the connections.
    home: Handle,
    vault: Option<Vault>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the database, and makes its file (mode 0600) and folder (mode 0700) if there are none.
    /// The writer task starts on the current runtime; [`Store::close`] ends it, and so does the
    /// drop of the last handle. Without a vault, credentials can be neither stored nor read.
    ///
    /// `url` is `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, `sqlite://PATH`, or a path that
    /// begins with `/` or `./`. The tables are made by [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] for another kind of database or a file that is none,
    /// [`StoreError::Unavailable`] for what cannot be opened or reached. Nothing that it made is
    /// left behind then.
    pub async fn open(url: &str, vault: Option<Vault>) -> Result<Self, StoreError> {
        let location = Location::parse(url)?;
        let made = location.make()?;
        match connect(&location).await {
            Ok((writer, readers)) => Ok(Self {
                shared: Arc::new(Shared {
                    writer: Writer::start(writer, location.clone()),
                    readers,
                    location,
                    home: Handle::current(),
                    vault,
                }),
                patience: PATIENCE,
                told: Kinds::NONE,
            }),
            Err(error) => {
                if let Some(made) = made {
                    made.undo();
                }
                Err(error)
            }
        }
    }

    /// Whether other machines may use the same store: then the right to trade is a [`Lease`].
    pub fn is_shared(&self) -> bool {
        self.shared.location.is_shared()
    }

    /// Whether there is a database at `url`, as far as that can be known without asking a server.
    /// Opens and makes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for another kind of database.
    pub fn exists(url: &str) -> Result<bool, StoreError> {
        Ok(Location::parse(url)?.exists())
    }

    /// The file of the database at `url`, where it is one.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for another kind of database.
    pub fn file(url: &str) -> Result<Option<PathBuf>, StoreError> {
        let location = Location::parse(url)?;
        Ok(location.file().map(Path::to_owned))
    }

    /// A handle of the same store whose operations give up after `patience`.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// Makes durable what is queued, then closes the store for all its handles; later operations
    /// are [`StoreError::Unavailable`]. Closing again does nothing.
    pub async fn close(&self) {
        self.shared.writer.close().await;
        self.shared.location.close(&self.shared.readers).await;
    }

    /// How writes went since it was opened.
    pub fn write_counts(&self) -> &WriteCounts {
        self.shared.writer.counts()
    }

    /// The key that binds the entries of the audit log.
    ///
    /// # Errors
    /// [`VaultError::NoKey`].
    pub(crate) fn audit_key(&self) -> Result<ring::hmac::Key, VaultError> {
        self.vault().map(Vault::audit_key)
    }

    fn vault(&self) -> Result<&Vault, VaultError> {
        self.shared.vault.as_ref().ok_or(VaultError::NoKey)
    }

    /// Writes what nobody's order waits for.
    pub(crate) async fn write<T, E, F>(&self, kind: Kind, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let writer = &self.shared.writer;
        writer.write(Turn::Other, kind, self.patience, work).await
    }

    /// Writes what holds orders back, or keeps the right to send them, before all else.
    pub(crate) async fn write_first<T, E, F>(&self, kind: Kind, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let writer = &self.shared.writer;
        writer
            .write(Turn::HoldBack, kind, self.patience, work)
            .await
    }

    /// Writes, in its turn, what may run again: many such share one commit at little cost.
    pub(crate) async fn write_again<T, E, F>(&self, turn: Turn, kind: Kind, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> Fn(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let writer = &self.shared.writer;
        writer.write_again(turn, kind, self.patience, work).await
    }

    /// Writes, in its turn, what usually takes a known course: many such are written at once.
    pub(crate) async fn write_usual<C>(
        &self,
        turn: Turn,
        kind: Kind,
        course: C,
    ) -> Result<C::Answer, C::Error>
    where
        C: Course<Error: Fault>,
    {
        let writer = &self.shared.writer;
        writer.write_usual(turn, kind, self.patience, course).await
    }

    pub(crate) async fn read<T, E>(
        &self,
        work: impl AsyncFnOnce(&DatabaseConnection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        self.shared.location.stands()?;
        let mut work = pin!(work(&self.shared.readers));
        // A connection belongs to the runtime that it was opened on, and must outlive the caller's.
        let at_home = poll_fn(|context| {
            let _home = self.shared.home.enter();
            work.as_mut().poll(context)
        });
        match tokio::time::timeout(self.patience, at_home).await {
            Ok(found) => found,
            Err(_) => {
                let what = format!("no answer within {} ms", self.patience.as_millis());
                Err(StoreError::unavailable(what).into())
            }
        }
    }
}

async fn connect(
    location: &Location,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let writer = location.connect_writer().await?;
    match location.connect_readers().await {
        Ok(readers) => Ok((writer, readers)),
        Err(error) => {
            location.close(&writer).await;
            Err(error)
        }
    }
}
