//! Executions of more than one part: the second leg of a reduction, and what is done in place of
//! what could not be done.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde_json::Value;

use super::execution::Execution;
use super::fire::{NewExecution, find_by_key, insert};
use super::sending::{found, refused};
use super::{Journal, JournalError};
use crate::domain::execution::{Action, Decision, State, fallback_key};
use crate::domain::ids::ExecutionId;
use crate::store::entity::arming;
use crate::store::entity::execution::Column;
use crate::store::{Kind, StoreError};

impl Journal {
    /// Writes down that the first leg was applied, with its outcome, and which second leg is to
    /// follow: planned from now on.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_next_leg(
        &self,
        id: ExecutionId,
        leg: Action,
        outcome: Value,
    ) -> Result<(), JournalError> {
        let leg = serde_json::to_value(leg)
            .map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))?;
        let update = self
            .step(id, State::Planned)
            .value(Column::Action, leg)
            .value(Column::Outcome, outcome)
            .value(Column::Reason, None::<String>)
            .to_owned();
        self.take_step(id, State::Planned, update).await
    }

    /// Writes down that an execution could not be carried out, and the execution that is carried
    /// out in its place: both or neither. The episode waits for that one from now on. A repetition
    /// answers the one that stands.
    ///
    /// # Errors
    /// As [`Journal::fail`].
    pub(super) async fn stored_fall_back(
        &self,
        id: ExecutionId,
        reason: &str,
        evidence: Value,
        instead: FallingBack,
        now: DateTime<Utc>,
    ) -> Result<ExecutionId, JournalError> {
        let update = self
            .step(id, State::Failed)
            .value(Column::Reason, reason)
            .value(Column::Evidence, evidence)
            .value(Column::FinishedAt, now)
            .to_owned();
        let aftermath = self.aftermath();
        self.store
            .write(Kind::Several, move |db| {
                Box::pin(async move {
                    let (row, _) = found(db, id).await?;
                    let row = Execution::try_from(row)?;
                    let key = fallback_key(&row.trigger_key);
                    if let Some(stands) = find_by_key(db, &key).await? {
                        return Ok(stands);
                    }
                    if db.execute(&update).await?.rows_affected() == 0 {
                        return Err(refused(db, id, State::Failed).await);
                    }
                    let new = NewExecution {
                        id: instead.id,
                        automation: row.automation,
                        account: row.account,
                        user: row.user,
                        position: row.position,
                        rule_version: row.rule_version,
                        episode: row.episode,
                        action: instead.action,
                        decision: instead.decision,
                    };
                    db.execute(&insert(&new, &key, row.source, now)?).await?;
                    let waits = Query::update()
                        .table(arming::Entity)
                        .value(arming::Column::ExecutionId, instead.id.to_string())
                        .and_where(Expr::col(arming::Column::ExecutionId).eq(id.to_string()))
                        .to_owned();
                    db.execute(&waits).await?;
                    // What is done instead speaks for both, good or bad.
                    aftermath.told_of(db, id, now).await?;
                    Ok(instead.id)
                })
            })
            .await
    }
}

/// What is done in place of what could not be done.
#[derive(Clone, Debug)]
pub struct FallingBack {
    /// A new id.
    pub id: ExecutionId,
    /// What is intended.
    pub action: Action,
    /// What was known when it was decided.
    pub decision: Decision,
}
