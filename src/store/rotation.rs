//! Other credentials for an account, and nothing left of those before.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbBackend};

use super::entity::account::{Column, Entity};
use super::{Account, Kind, Store, StoreError};
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;

/// How often emptying the write-ahead log is tried, and how long each try waits for readers: others
/// that want to write wait for it.
const TRIES: u32 = 5;
const WAIT: &str = "PRAGMA busy_timeout = 50";
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

impl Store {
    /// Seals other credentials for an account in place of those it has. [`Store::wipe`] takes away
    /// what is left of the old ones.
    ///
    /// # Errors
    /// [`StoreError::Vault`] for credentials that cannot be or without a vault,
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn set_credentials(
        &self,
        id: &AccountId,
        credentials: Credentials,
        now: DateTime<Utc>,
    ) -> Result<Account, StoreError> {
        let sealed = self.vault()?.seal(id, &credentials)?;
        let update = Query::update()
            .table(Entity)
            .value(Column::Credentials, sealed)
            .value(
                Column::CredentialsVersion,
                Expr::col(Column::CredentialsVersion).add(1),
            )
            .value(Column::UpdatedAt, now)
            .and_where(Expr::col(Column::Id).eq(id.as_str()))
            .to_owned();
        let of = id.clone();
        let written = self.write(Kind::One, move |db| {
            Box::pin(async move {
                match db.execute(&update).await?.rows_affected() {
                    0 => Err(StoreError::no_account(of.as_str())),
                    _ => Ok(()),
                }
            })
        });
        written.await?;
        self.account(id.as_str()).await
    }

    /// Leaves nothing of what was overwritten or deleted before in the write-ahead log of a file; in
    /// the file itself SQLite has overwritten it (`secure_delete`). Whether that is so: a reader that
    /// takes long may keep it. On a server it is not ours to do, and always so.
    pub async fn wipe(&self) -> bool {
        let wiped = self.write(Kind::Alone, |db| {
            Box::pin(async move {
                let DatabaseExecutor::Connection(db) = db else {
                    return Ok(false);
                };
                if db.get_database_backend() != DbBackend::Sqlite {
                    return Ok(true);
                }
                db.execute_unprepared(WAIT).await?;
                let emptied = empty_log(db).await;
                let before = super::sqlite::BUSY_TIMEOUT.as_millis();
                db.execute_unprepared(&format!("PRAGMA busy_timeout = {before}"))
                    .await?;
                emptied
            })
        });
        let wiped: Result<bool, StoreError> = wiped.await;
        wiped.unwrap_or(false)
    }
}

async fn empty_log(db: &DatabaseConnection) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        let checkpoint = sea_orm::Statement::from_string(
            db.get_database_backend(),
            "PRAGMA wal_checkpoint(TRUNCATE)",
        );
        let row = db.query_one_raw(checkpoint).await?;
        let kept: i32 = match row {
            Some(row) => row.try_get("", "busy")?,
            None => 0,
        };
        if kept == 0 {
            return Ok(true);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Ok(false)
}
