//! What an account has of its own in place of the protections that are configured for all.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryFilter,
    QueryTrait,
};

use super::entity::account;
use super::entity::protection::{ActiveModel, Column, Entity, Model};
use super::{Kind, Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::protection::{Own, OwnProtections};
use crate::domain::units::Sats;

/// Stored for a limit that is off; no value at all is what is configured.
const OFF: i64 = 0;

impl From<&Model> for OwnProtections {
    fn from(row: &Model) -> Self {
        let count = |stored: Option<i64>| own(stored, |most| most.try_into().unwrap_or(u32::MAX));
        Self {
            executions_per_day: count(row.executions_per_day),
            sats_per_day: own(row.sats_per_day, Sats),
            failures_in_a_row: count(row.failures_in_a_row),
        }
    }
}

fn own<T>(stored: Option<i64>, most: impl FnOnce(i64) -> T) -> Own<T> {
    match stored {
        None => Own::Default,
        Some(OFF) => Own::Off,
        Some(value) => Own::Most(most(value)),
    }
}

fn stored<T>(own: Own<T>, value: impl FnOnce(T) -> i64) -> Option<i64> {
    match own {
        Own::Default => None,
        Own::Off => Some(OFF),
        Own::Most(most) => Some(value(most)),
    }
}

/// The row of an account, if it has one.
pub(crate) async fn of_account(
    db: &DatabaseExecutor<'_>,
    account: &str,
) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(account).one(db).await?)
}

/// Lets an account's count of failures in a row begin anew.
pub(crate) async fn forget_failures(
    db: &DatabaseExecutor<'_>,
    account: &str,
) -> Result<(), StoreError> {
    let update = Query::update()
        .table(Entity)
        .value(Column::Failed, 0i64)
        .and_where(Expr::col(Column::AccountId).eq(account))
        .and_where(Expr::col(Column::Failed).gt(0i64))
        .to_owned();
    db.execute(&update).await?;
    Ok(())
}

/// Counts one more failure in a row; answers the count, or none for an account that is gone.
pub(crate) async fn note_failure(
    db: &DatabaseExecutor<'_>,
    account: &str,
) -> Result<Option<i64>, StoreError> {
    let known = account::Entity::find_by_id(account).one(db).await?;
    if known.is_none() {
        return Ok(None);
    }
    let mut insert = Query::insert();
    insert
        .into_table(Entity)
        .columns([Column::AccountId, Column::Failed])
        .values([account.into(), 1i64.into()])
        .map_err(|error| StoreError::unavailable(error.to_string()))?
        .on_conflict(
            OnConflict::column(Column::AccountId)
                .value(
                    Column::Failed,
                    Expr::col((Entity, Column::Failed)).add(1i64),
                )
                .to_owned(),
        )
        .returning(Query::returning().column(Column::Failed));
    let rows = db.query_all(&insert).await?;
    let row = rows
        .first()
        .ok_or_else(|| StoreError::unavailable("a failure was not counted"))?;
    Ok(Some(row.try_get("", "failed")?))
}

impl Store {
    /// What an account has of its own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn protections(&self, account: &AccountId) -> Result<OwnProtections, StoreError> {
        let query = Entity::find().filter(Column::AccountId.eq(account.as_str()));
        let row = self.read(async |db| Ok::<_, StoreError>(query.one(db).await?));
        Ok(row
            .await?
            .as_ref()
            .map(OwnProtections::from)
            .unwrap_or_default())
    }

    /// What accounts have of their own, where they do.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn all_protections(&self) -> Result<HashMap<AccountId, OwnProtections>, StoreError> {
        let rows = self.read(async |db| Ok::<_, StoreError>(Entity::find().all(db).await?));
        let own = |row: &Model| (AccountId::new(&row.account_id), OwnProtections::from(row));
        Ok(rows.await?.iter().map(own).collect())
    }

    /// Gives an account its own; its count of failures stays.
    ///
    /// # Errors
    /// [`StoreError::ForeignKey`] for an account that does not exist, [`StoreError::Unavailable`],
    /// [`StoreError::Busy`].
    pub async fn protect(
        &self,
        account: &AccountId,
        own: OwnProtections,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            account_id: Set(account.to_string()),
            executions_per_day: Set(stored(own.executions_per_day, i64::from)),
            sats_per_day: Set(stored(own.sats_per_day, |sats| sats.0)),
            failures_in_a_row: Set(stored(own.failures_in_a_row, i64::from)),
            failed: Set(0),
        };
        let mut insert = Entity::insert(row).into_query();
        insert.on_conflict(
            OnConflict::column(Column::AccountId)
                .update_columns([
                    Column::ExecutionsPerDay,
                    Column::SatsPerDay,
                    Column::FailuresInARow,
                ])
                .to_owned(),
        );
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                db.execute(&insert).await?;
                Ok(())
            })
        })
        .await
    }
}
