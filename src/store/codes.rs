//! What the databases' error codes mean, said once.

use sea_orm::SqlxError;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgDatabaseError;

use super::error::StoreError;

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

pub(super) fn of_sqlx(error: &SqlxError) -> StoreError {
    match error {
        SqlxError::Database(inner) if inner.kind() == ErrorKind::ForeignKeyViolation => {
            StoreError::ForeignKey(inner.message().to_owned())
        }
        SqlxError::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => of_postgres(postgres.code(), postgres.message()),
            None => of_sqlite(inner.as_ref()),
        },
        SqlxError::PoolTimedOut => StoreError::unavailable(
            "no connection to it could be had in time: it does not run, cannot be reached, or all \
             its connections are in use; see whether it runs, and try again",
        ),
        SqlxError::PoolClosed => StoreError::unavailable("it was closed"),
        SqlxError::Io(error)
            if error
                .get_ref()
                .is_some_and(|cause| cause.is::<rustls::Error>()) =>
        {
            no_tls(error)
        }
        SqlxError::Io(error) => StoreError::unavailable(format!(
            "the connection to it failed ({error}); see whether it runs and can be reached"
        )),
        SqlxError::Tls(error) => no_tls(error),
        other => StoreError::unavailable(other.to_string()),
    }
}

fn no_tls(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::unavailable(format!(
        "no TLS with it ({error}); see sslmode and sslrootcert in its address"
    ))
}

fn of_sqlite(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    let message = error.message();
    let unavailable = |what: &str| StoreError::unavailable(format!("{what} ({message})"));
    match code.unwrap_or(0) & 0xff {
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

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(code: &str, message: &str) -> StoreError {
    let unavailable = |what: &str| StoreError::unavailable(format!("{what} ({message})"));
    match code {
        // Undefined table, undefined column, undefined schema.
        "42P01" | "42703" | "3F000" => StoreError::NotMigrated(message.to_owned()),
        // Object not in prerequisite state is no constraint, lock not available is.
        "55P03" => unavailable(
            "another process holds a row or table locked; end what uses it, or try again",
        ),
        "40001" | "40P01" => {
            unavailable("it was in another write's way and was taken back; try it again")
        }
        "57014" => unavailable("it took too long and was taken back; try it again"),
        "53100" => unavailable("its disk is full; free some space"),
        "53300" => unavailable(
            "PostgreSQL has no connection left; raise its max_connections, or end what uses it",
        ),
        "25006" => unavailable("this PostgreSQL may only be read; name the one that is written to"),
        "3D000" => unavailable("there is no such database; make it with CREATE DATABASE"),
        "42501" => unavailable(
            "the user may not do that; grant CREATE on the database, and all on schema vigia",
        ),
        "57P01" | "57P02" | "57P03" => unavailable("PostgreSQL is stopping or starting; try again"),
        _ if code.starts_with("08") => {
            unavailable("the connection to PostgreSQL failed; try again")
        }
        _ if code.starts_with("28") => unavailable(
            "PostgreSQL refuses the login; check user, password and database in its address",
        ),
        _ if code.starts_with("23") => StoreError::Constraint(message.to_owned()),
        _ if code.starts_with("53") => unavailable("PostgreSQL is short of something"),
        _ if code.starts_with("58") => unavailable("PostgreSQL's disk fails; look at its log"),
        _ => StoreError::unavailable(format!("{message} (SQLSTATE {code})")),
    }
}
