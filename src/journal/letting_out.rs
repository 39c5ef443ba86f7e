//! The statement that lets an execution out: whatever forbids it is a condition of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, QueryResult, Statement};

use super::sending::{found, owns};
use super::{Began, JournalError, Refusal, protections};
use crate::domain::execution::{Action, Before, SkipReason, State};
use crate::domain::ids::ExecutionId;
use crate::domain::protection::Protections;
use crate::store::entity::execution::{Column, Entity};
use crate::store::entity::{account, automation, owner};
use crate::store::{Acting, Course, Epoch, StoreError, TRADING, held_back, paused};

/// The letting out of an execution.
pub(super) struct LettingOut {
    pub(super) id: ExecutionId,
    pub(super) action: Action,
    pub(super) before: Option<Before>,
    pub(super) epoch: Epoch,
    pub(super) protections: Protections,
    pub(super) now: DateTime<Utc>,
}

impl Course for LettingOut {
    type Answer = Began;
    type Error = JournalError;

    fn usual(&self) -> Result<Vec<Statement>, StoreError> {
        Ok(vec![DbBackend::Sqlite.build(&self.statement()?)])
    }

    fn went_as_usual(&self, rows: &[QueryResult]) -> Result<Began, JournalError> {
        let row = rows
            .first()
            .ok_or_else(|| StoreError::no_execution(self.id))?;
        Ok(sending(row)?)
    }

    fn run<'c>(
        self: Arc<Self>,
        db: &'c DatabaseExecutor<'c>,
    ) -> BoxFuture<'c, Result<Began, JournalError>> {
        Box::pin(async move { self.write(db).await })
    }
}

fn sending(row: &QueryResult) -> Result<Began, StoreError> {
    let attempts: i32 = row.try_get("", "attempts")?;
    Ok(Began::Sending {
        attempt: attempts.unsigned_abs(),
    })
}

impl LettingOut {
    async fn write(&self, db: &DatabaseExecutor<'_>) -> Result<Began, JournalError> {
        // All rows: a statement that returns is durable only when it has run to its end.
        let rows = db.query_all(&self.statement()?).await?;
        let Some(row) = rows.first() else {
            let refusal = match why_not(db, self.id, self.epoch).await? {
                Some(refusal) => refusal,
                None => self.over_limit(db).await?,
            };
            return Ok(Began::Refused(refusal));
        };
        Ok(sending(row)?)
    }

    fn statement(&self) -> Result<UpdateStatement, StoreError> {
        let json = |value: Result<serde_json::Value, serde_json::Error>| {
            value.map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))
        };
        let before = self.before.map(|before| json(serde_json::to_value(before)));
        let its = Acting::its();
        Ok(Query::update()
            .table(Entity)
            .value(Column::State, State::Sending.as_str())
            .value(Column::Action, json(serde_json::to_value(self.action))?)
            .value(Column::Before, before.transpose()?)
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .value(Column::Epoch, self.epoch.0)
            .value(Column::SendingAt, self.now)
            .value(Column::AddedSats, self.action.added().map(|sats| sats.0))
            .and_where(Expr::col(Column::Id).eq(self.id.to_string()))
            .and_where(Expr::col(Column::State).eq(State::Planned.as_str()))
            .and_where(Expr::exists(owns(self.epoch)))
            .and_where(Expr::exists(automation_acts()))
            .and_where(Expr::exists(account_acts()))
            .and_where(Expr::exists(paused(&its)).not())
            .and_where(Expr::exists(held_back(&its)).not())
            .and_where(protections::allow(self.protections, self.action, self.now))
            .returning(Query::returning().column(Column::Attempts))
            .to_owned())
    }

    async fn over_limit(&self, db: &DatabaseExecutor<'_>) -> Result<Refusal, JournalError> {
        let (row, _) = found(db, self.id).await?;
        let forbids = protections::forbids(db, self.protections, &row, self.action, self.now);
        match forbids.await? {
            Some(limit) => Ok(Refusal::Skip(limit.into())),
            None => {
                let what = "what forbade the sending is gone again; try again";
                Err(StoreError::unavailable(what).into())
            }
        }
    }
}

fn automation_acts() -> SelectStatement {
    use automation::Column as Of;
    Query::select()
        .expr(Expr::val(1))
        .from(automation::Entity)
        .and_where(Expr::col((automation::Entity, Of::Id)).equals((Entity, Column::AutomationId)))
        .and_where(
            Expr::col((automation::Entity, Of::RuleVersion)).equals((Entity, Column::RuleVersion)),
        )
        .and_where(Expr::col((automation::Entity, Of::IsActive)).eq(true))
        .to_owned()
}

fn account_acts() -> SelectStatement {
    use account::Column as Of;
    Query::select()
        .expr(Expr::val(1))
        .from(account::Entity)
        .and_where(Expr::col((account::Entity, Of::Id)).equals((Entity, Column::AccountId)))
        .and_where(Expr::col((account::Entity, Of::IsActive)).eq(true))
        .to_owned()
}

async fn why_not(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
    epoch: Epoch,
) -> Result<Option<Refusal>, JournalError> {
    let (row, state) = found(db, id).await?;
    match state {
        State::Planned => {}
        State::Sending => return Ok(Some(Refusal::AlreadySending)),
        ended => return Ok(Some(Refusal::Ended(ended))),
    }
    let owner = owner::Entity::find_by_id(TRADING).one(db).await?;
    if owner.is_none_or(|owner| owner.epoch != epoch.0) {
        return Ok(Some(Refusal::Skip(SkipReason::NotOwner)));
    }
    let automation = automation::Entity::find_by_id(&row.automation_id)
        .one(db)
        .await?;
    if automation.is_none_or(|found| !found.is_active || found.rule_version != row.rule_version) {
        return Ok(Some(Refusal::Skip(SkipReason::AutomationDisabled)));
    }
    let account = account::Entity::find_by_id(&row.account_id).one(db).await?;
    if account.is_none_or(|account| !account.is_active) {
        return Ok(Some(Refusal::Skip(SkipReason::AccountDisabled)));
    }
    Ok(why_stopped(db, id).await?.map(Refusal::Skip))
}

/// What holds an execution back, if anything does.
async fn why_stopped(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
) -> Result<Option<SkipReason>, StoreError> {
    let its = Acting::its();
    if db
        .query_one(&where_stands(id, paused(&its)))
        .await?
        .is_some()
    {
        return Ok(Some(SkipReason::AccountPaused));
    }
    let held = db.query_one(&where_stands(id, held_back(&its))).await?;
    Ok(held.map(|_| SkipReason::KillSwitch))
}

fn where_stands(id: ExecutionId, hold: SelectStatement) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col(Column::Id).eq(id.to_string()))
        .and_where(Expr::exists(hold))
        .to_owned()
}
