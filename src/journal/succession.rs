//! Successions: a trade that was closed and opened again, smaller, inherits what was armed, its
//! cooldown, its counts and the filters that name it.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryFilter};
use serde_json::Value;

use super::arming::{ARMED, over_what_stands};
use super::execution::{Columns, Execution};
use super::{Journal, JournalError};
use crate::domain::execution::Action;
use crate::domain::ids::{AccountId, ExecutionId, PositionId};
use crate::domain::rules::Lineage;
use crate::store::entity::{arming, automation, execution, succession};
use crate::store::{Kind, StoreError};

const TABLE: &str = "successions";

impl Journal {
    /// Writes down that `successor`, a trade with the client id of `execution`, took the place of
    /// that execution's position, and lets it inherit. A repetition changes nothing. The answer is
    /// the position whose place it took; none where the execution reopens nothing, or is unknown.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_succeed(
        &self,
        execution: ExecutionId,
        successor: PositionId,
        now: DateTime<Utc>,
    ) -> Result<Option<PositionId>, JournalError> {
        self.store
            .write(Kind::Several, move |db| {
                Box::pin(async move { write(db, execution, successor, now).await })
            })
            .await
    }

    /// Which trades of an account took another's place.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn lineage(&self, account: &AccountId) -> Result<Lineage, JournalError> {
        let query =
            succession::Entity::find().filter(succession::Column::AccountId.eq(account.as_str()));
        let rows = self
            .store
            .read(async |db| Ok::<_, StoreError>(query.all(db).await?))
            .await?;
        let mut lineage = Lineage::default();
        for row in rows {
            let columns = Columns {
                table: TABLE,
                id: &row.successor_id,
            };
            let successor = columns.parse("successor_id", &row.successor_id)?;
            lineage.succeed(
                successor,
                columns.parse("predecessor_id", &row.predecessor_id)?,
            );
        }
        Ok(lineage)
    }
}

/// Writes down the succession that an outcome tells of, if it tells of one.
pub(super) async fn of_outcome(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
    outcome: &Value,
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    if let Some(successor) = outcome["successorId"].as_str()
        && let Ok(successor) = successor.parse()
    {
        write(db, id, successor, now).await?;
    }
    Ok(())
}

async fn write(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
    successor: PositionId,
    now: DateTime<Utc>,
) -> Result<Option<PositionId>, JournalError> {
    let key = successor.to_string();
    if let Some(row) = succession::Entity::find_by_id(&key).one(db).await? {
        let columns = Columns {
            table: TABLE,
            id: &key,
        };
        return Ok(Some(columns.parse("predecessor_id", &row.predecessor_id)?));
    }
    let Some(row) = execution::Entity::find_by_id(id.to_string())
        .one(db)
        .await?
    else {
        return Ok(None);
    };
    let row = Execution::try_from(row)?;
    if !matches!(row.action, Action::Reopen(_)) {
        return Ok(None);
    }
    let insert = succession::ActiveModel::from(succession::Model {
        successor_id: key,
        predecessor_id: row.position.to_string(),
        account_id: row.account.to_string(),
        execution_id: id.to_string(),
        created_at: now,
    });
    succession::Entity::insert(insert)
        .exec_without_returning(db)
        .await?;
    db.execute(&inherit(&row.account, row.position, successor)?)
        .await?;
    Ok(Some(row.position))
}

/// Copies what is armed or has fired. What the successor had armed before it was known whose place
/// it took is overwritten; what it has fired stands.
fn inherit(
    account: &AccountId,
    from: PositionId,
    to: PositionId,
) -> Result<InsertStatement, StoreError> {
    use arming::Column;
    let of_account = Query::select()
        .column(automation::Column::Id)
        .from(automation::Entity)
        .and_where(Expr::col(automation::Column::AccountId).eq(account.as_str()))
        .to_owned();
    let kept = [
        Column::RuleVersion,
        Column::Episode,
        Column::State,
        Column::ExecutionId,
        Column::ArmedAt,
        Column::FiredAt,
    ];
    let rows = Query::select()
        .column(Column::AutomationId)
        .expr(Expr::val(to.to_string()))
        .columns(kept)
        .from(arming::Entity)
        .and_where(Expr::col(Column::PositionId).eq(from.to_string()))
        .and_where(Expr::col(Column::AutomationId).in_subquery(of_account))
        .to_owned();
    let columns = [Column::AutomationId, Column::PositionId]
        .into_iter()
        .chain(kept);
    let mut insert = Query::insert();
    insert
        .into_table(arming::Entity)
        .columns(columns)
        .select_from(rows)
        .map_err(|error| StoreError::unavailable(error.to_string()))?
        .on_conflict(
            over_what_stands()
                .action_and_where(Expr::col((arming::Entity, Column::State)).eq(ARMED))
                .to_owned(),
        );
    Ok(insert)
}
