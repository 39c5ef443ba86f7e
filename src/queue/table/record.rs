//! Writing down what became of a job.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{DeleteStatement, Expr, ExprTrait, Order, Query, UpdateStatement};

use super::Shared;
use super::database::write;
use super::entity::{Column, Entity, Model};
use crate::queue::{JobState, Outcome, QueueError};

impl Shared {
    /// Records an outcome. Returns false where the job is not in hand under this lease any more:
    /// somebody else has it, or it has been recorded before.
    pub(super) async fn record(&self, row: &Model, outcome: &Outcome) -> Result<bool, QueueError> {
        let recorded = self.recorded(row, outcome);
        let finished = match outcome {
            Outcome::Completed(_) => Some((JobState::Completed, row.keep_completed)),
            Outcome::Failed(_) => Some((JobState::Failed, row.keep_failed)),
            Outcome::Retry(_) if !has_attempts(row) => Some((JobState::Failed, row.keep_failed)),
            _ => None,
        };
        let removed = finished.map(|(state, keep)| self.older(state, keep));
        write(&*self.database, move |db| {
            Box::pin(async move {
                let ours = db.execute(&recorded).await?.rows_affected() > 0;
                if let (true, Some(removed)) = (ours, removed) {
                    db.execute(&removed).await?;
                }
                Ok(ours)
            })
        })
        .await
    }

    fn recorded(&self, row: &Model, outcome: &Outcome) -> UpdateStatement {
        let now = self.now();
        let mut update = self.active();
        update
            .value(Column::Lease, None::<String>)
            .value(Column::LeaseUntil, None::<i64>)
            .and_where(Expr::col(Column::Number).eq(row.number))
            .and_where(Expr::col(Column::Lease).eq(row.lease.as_deref().unwrap_or_default()));
        if !matches!(outcome, Outcome::Later(_) | Outcome::Released) {
            update.value(Column::AttemptsMade, row.attempts_made.saturating_add(1));
        }
        let waits = |update: &mut UpdateStatement, due_at: i64| {
            update
                .value(Column::State, JobState::Waiting.as_str())
                .value(Column::DueAt, due_at);
        };
        match outcome {
            Outcome::Completed(value) => {
                update
                    .value(Column::State, JobState::Completed.as_str())
                    .value(Column::ReturnValue, value.to_string())
                    .value(Column::FinishedAt, now);
            }
            Outcome::Retry(reason) if has_attempts(row) => {
                update.value(Column::FailedReason, reason.as_str());
                waits(&mut update, now.saturating_add(super::millis(row.wait())));
            }
            Outcome::Retry(reason) | Outcome::Failed(reason) => {
                update
                    .value(Column::State, JobState::Failed.as_str())
                    .value(Column::FailedReason, reason.as_str())
                    .value(Column::FinishedAt, now);
            }
            Outcome::Later(delay) => {
                waits(&mut update, now.saturating_add(super::millis(*delay)));
            }
            // It became due earlier than its peers, so it goes before them.
            Outcome::Released => waits(&mut update, row.due_at),
        }
        update
    }

    /// Removes finished jobs beyond those that are kept, the oldest first.
    fn older(&self, state: JobState, keep: Option<i64>) -> DeleteStatement {
        let default = match state {
            JobState::Completed => self.options.keep_completed,
            _ => self.options.keep_failed,
        };
        let keep = keep.and_then(|keep| u64::try_from(keep).ok());
        let older = Query::select()
            .column(Column::Number)
            .from(Entity)
            .and_where(Expr::col(Column::Queue).eq(self.options.name.as_str()))
            .and_where(Expr::col(Column::State).eq(state.as_str()))
            .order_by(Column::FinishedAt, Order::Desc)
            .order_by(Column::Number, Order::Desc)
            .limit(i64::MAX as u64)
            .offset(keep.unwrap_or(default))
            .to_owned();
        Query::delete()
            .from_table(Entity)
            .and_where(Expr::col(Column::Number).in_subquery(older))
            .to_owned()
    }
}

fn has_attempts(row: &Model) -> bool {
    row.attempts_made.saturating_add(1) < row.attempts
}
