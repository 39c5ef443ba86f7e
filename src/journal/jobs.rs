//! The plan of a job: which executions it asks for, frozen by its first attempt, and taken up by
//! every later one.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::execution::{Execution, Source};
use super::fire::{FireResult, NewExecution, find_by_key, insert};
use super::{Journal, JournalError, limits};
use crate::domain::execution::{State, job_trigger_key};
use crate::domain::ids::ExecutionId;
use crate::domain::rules::Limits;
use crate::store::entity::execution::{Column, Entity};
use crate::store::{Kind, StoreError};

impl Journal {
    /// Writes down all that a job asks for, in one transaction; what stands already stays as it is.
    /// `job` is the key of the job. Answers for each what came of it, in the same order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Busy`], after which it may be repeated.
    pub async fn freeze_plan(
        &self,
        job: String,
        plan: Vec<NewExecution>,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<Vec<FireResult>, JournalError> {
        let journal = self.clone();
        self.store
            .write(Kind::Several, move |db| {
                Box::pin(async move {
                    let mut results = vec![];
                    for new in &plan {
                        let key = job_trigger_key(&job, new.position);
                        if let Some(stands) = find_by_key(db, &key).await? {
                            results.push(if stands == new.id {
                                FireResult::Fired
                            } else {
                                FireResult::FiredBefore(stands)
                            });
                            continue;
                        }
                        let reached = limits::reached(db, &journal, new, limits, now).await?;
                        if let Some(reached) = reached {
                            results.push(reached);
                            continue;
                        }
                        db.execute(&insert(new, &key, Source::Job, now)?).await?;
                        results.push(FireResult::Fired);
                    }
                    Ok(results)
                })
            })
            .await
    }

    /// What the earlier attempts of a job have written down, oldest first. What was done in place of
    /// what could not be done is among it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn plan_of(&self, job: &str) -> Result<Vec<Execution>, JournalError> {
        let prefix = format!("{job}:");
        let query = Entity::find()
            .filter(Column::TriggerKey.gte(prefix.as_str()))
            .filter(Column::TriggerKey.lt(format!("{job};")))
            .filter(Column::Source.eq(Source::Job.as_str()))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id);
        let listed = self.list_executions(query).await?;
        if let Some(error) = listed.unreadable.into_iter().next() {
            return Err(error.into());
        }
        let ours = |row: &Execution| row.trigger_key.starts_with(&prefix);
        Ok(listed.rows.into_iter().filter(ours).collect())
    }

    /// Plans a job's execution anew that has failed. Returns whether it had.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn plan_anew(&self, id: ExecutionId) -> Result<bool, JournalError> {
        let update = Query::update()
            .table(Entity)
            .value(Column::State, State::Planned.as_str())
            .value(Column::Reason, None::<String>)
            .value(Column::FinishedAt, None::<DateTime<Utc>>)
            .and_where(Expr::col(Column::Id).eq(id.to_string()))
            .and_where(Expr::col(Column::State).eq(State::Failed.as_str()))
            .and_where(Expr::col(Column::Source).eq(Source::Job.as_str()))
            .to_owned();
        self.store
            .write(Kind::One, move |db| {
                Box::pin(async move {
                    let done = db.execute(&update).await.map_err(StoreError::from)?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}
