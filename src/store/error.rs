//! What can go wrong in the store, classified once.

use sea_orm::{DbErr, RuntimeErr, TransactionError};

use super::codes;
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
    /// What a row refers to is not there, or a row is referred to that was to go.
    #[error("the database refused it: {0}")]
    ForeignKey(String),
    /// Another rule of the schema was broken, such as a key used twice.
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

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match sqlx_error(&error) {
            Some(inner) => codes::of_sqlx(inner),
            None => match error {
                DbErr::ConnectionAcquire(_) => codes::of_sqlx(&sea_orm::SqlxError::PoolTimedOut),
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
