//! Where the database is: a file of SQLite, or a server of PostgreSQL.

use std::path::Path;
use std::time::Duration;

use sea_orm::DatabaseConnection;

use super::error::StoreError;
use super::postgres::Server;
use super::sqlite::{File, Made};

/// How a path is told from what was meant as something else.
const PATHS_BEGIN: [&str; 3] = ["/", "./", "../"];

/// Where the database is.
#[derive(Clone)]
pub(super) enum Location {
    /// One process at a time, on this machine.
    File(File),
    /// Any number of processes, on any machine.
    Server(Box<Server>),
}

impl Location {
    /// Reads `postgres://…`, `postgresql://…`, `sqlite:…`, or a path that begins as one.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if ["postgres:", "postgresql:"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Ok(Self::Server(Box::new(Server::parse(url)?)));
        }
        if url.starts_with("sqlite:") || PATHS_BEGIN.iter().any(|begin| url.starts_with(begin)) {
            return Ok(Self::File(File::parse(url)?));
        }
        // It may hold a password: it is not repeated.
        Err(StoreError::Refused(
            "this is not the address of a database that can be used: give \
             postgres://USER:PASSWORD@HOST/DATABASE, sqlite://PATH, or a path that begins with \
             `/` or `./`"
                .to_owned(),
        ))
    }

    /// Whether processes on other machines may use it too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Whether there is such a file. A server is only known when it has been asked.
    pub(super) fn exists(&self) -> bool {
        match self {
            Self::File(file) => file.exists(),
            Self::Server(_) => true,
        }
    }

    /// The file, where it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file.path()),
            Self::Server(_) => None,
        }
    }

    /// Whether what was opened is still there. Costs a look at the file's name, and no wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it is not.
    pub(super) fn stands(&self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.stands(),
            Self::Server(_) => Ok(()),
        }
    }

    /// Makes the file and its folder where there are none.
    pub(super) fn make(&self) -> Result<Option<Made>, StoreError> {
        match self {
            Self::File(file) => file.make().map(Some),
            Self::Server(_) => Ok(None),
        }
    }

    /// Opens the connection that writes. Says why it cannot.
    pub(super) async fn connect_writer(&self) -> Result<DatabaseConnection, StoreError> {
        match self {
            Self::File(file) => file.connect_writer().await,
            Self::Server(server) => server.connect_writer().await,
        }
    }

    /// Opens the connections that read, which cannot write.
    pub(super) async fn connect_readers(&self) -> Result<DatabaseConnection, StoreError> {
        match self {
            Self::File(file) => file.connect_readers().await,
            Self::Server(server) => Ok(server.connect_readers()),
        }
    }

    /// How long one commit may take; `None` where the database itself bounds it.
    pub(super) fn commit_deadline(&self) -> Option<Duration> {
        match self {
            Self::File(_) => None,
            Self::Server(_) => Some(Server::COMMIT_DEADLINE),
        }
    }

    /// Closes connections. A server that has gone is not waited for.
    pub(super) async fn close(&self, connections: &DatabaseConnection) {
        let closing = connections.close_by_ref();
        // Closing cannot fail in a way that matters: nothing is unwritten any more.
        match self {
            Self::File(_) => drop(closing.await),
            Self::Server(_) => {
                drop(tokio::time::timeout(Server::CLOSE_DEADLINE, closing).await);
            }
        }
    }
}
