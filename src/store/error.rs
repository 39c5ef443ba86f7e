//! What can go wrong in the store, classified once.

use sea_orm::{DbErr, RuntimeErr, TransactionError};

use super::vault::VaultError;

/// An error of the store. Each says what to do next; none holds a secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or could not. A write that ended so may or may not have been made:
    /// every write of the journal may be repeated.
    #[error("the store is not available: {what}")]
    Unavailable {
        /// The cause, and what to do about it.
        what: String,
    },
    /// Too many writes are waiting. This one was not taken.
    #[error(
        "the store has {waiting} writes waiting already: this one was not made, try it again in a moment"
    )]
    Busy {
        /// How many may wait.
        waiting: usize,
    },
    /// No such row.
    #[error("there is no {what} `{id}`: see `vigia {what} list`")]
    NotFound {
        /// The noun, as the command line names it.
        what: &'static str,
        /// What was looked for.
        id: String,
    },
    /// A row of that name stands already.
    #[error("{what} `{name}` exists already: choose another name")]
    Exists {
        /// The noun.
        what: &'static str,
        /// The name that is taken.
        name: String,
    },
    /// A stored row cannot be read. The others can.
    #[error("row `{id}` of table {table} cannot be read: {what}; repair it or restore a backup")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
        /// What is wrong with it.
        what: String,
    },
    /// Sealing or opening credentials failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was asked for is not possible; says why, and what is.
    #[error("{0}")]
    Refused(String),
    /// The tables are not those of this version.
    #[error("the database has no table that this version expects ({0}): run `vigia migrate`")]
    NotMigrated(String),
    /// A rule of the schema was broken (a key used twice, a row that is referred to).
    #[error("the database refused it: {0}")]
    Constraint(String),
}

impl StoreError {
    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into() }
    }

    pub(crate) fn corrupt(table: &'static str, id: &str, what: impl ToString) -> Self {
        Self::Corrupt {
            table,
            id: id.to_owned(),
            what: what.to_string(),
        }
    }

    pub(crate) fn no_account(id: &str) -> Self {
        Self::NotFound {
            what: "account",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_automation(id: &str) -> Self {
        Self::NotFound {
            what: "automation",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_execution(id: impl ToString) -> Self {
        Self::NotFound {
            what: "execution",
            id: id.to_string(),
        }
    }
}

/// SQLite's result codes, without their extensions.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const NOTADB: i32 = 26;
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match sqlx_error(&error) {
            Some(sea_orm::SqlxError::Database(inner)) => {
                let code = inner.code().and_then(|code| code.parse::<i32>().ok());
                of_sqlite(code.unwrap_or(0) & 0xff, inner.message())
            }
            Some(sea_orm::SqlxError::PoolTimedOut) => {
                Self::unavailable("all its connections are in use; try again in a moment")
            }
            Some(sea_orm::SqlxError::PoolClosed) => Self::unavailable("it was closed"),
            _ => match error {
                DbErr::ConnectionAcquire(_) => {
                    Self::unavailable("all its connections are in use; try again in a moment")
                }
                other => Self::unavailable(other.to_string()),
            },
        }
    }
}

impl From<TransactionError<StoreError>> for StoreError {
    fn from(error: TransactionError<StoreError>) -> Self {
        match error {
            TransactionError::Connection(error) => error.into(),
            TransactionError::Transaction(error) => error,
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sea_orm::SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

fn of_sqlite(code: i32, message: &str) -> StoreError {
    let unavailable = |what: &str| StoreError::unavailable(format!("{what} ({message})"));
    match code {
        code::BUSY | code::LOCKED => {
            unavailable("another process holds the database locked; end what uses it, or try again")
        }
        code::FULL => unavailable("its disk is full; free some space"),
        code::IOERR => unavailable("its disk fails; look at the system's log"),
        code::CORRUPT => unavailable("the database file is damaged; restore a backup"),
        code::NOTADB => {
            StoreError::Refused("the file is not an SQLite database: name another one".to_owned())
        }
        code::READONLY | code::PERM => {
            unavailable("the database may not be written; check the owner and mode of its file")
        }
        code::CANTOPEN => {
            unavailable("the database file cannot be opened; check its path and mode")
        }
        code::CONSTRAINT => StoreError::Constraint(message.to_owned()),
        _ if message.starts_with("no such table") => StoreError::NotMigrated(message.to_owned()),
        _ => StoreError::unavailable(message.to_owned()),
    }
}
