//! Leases: what is in hand stays so while they are renewed; what was abandoned comes back.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query, UpdateStatement};

use super::Shared;
use super::database::write;
use super::entity::{Column, Entity};
use crate::queue::{JobState, QueueError, STALLED_TOO_OFTEN};

/// Which jobs in hand were abandoned.
#[derive(Clone, Debug)]
pub(super) enum Abandoned {
    /// Those whose lease has run out.
    Lapsed,
    /// All: nobody else takes jobs here, and nothing is in hand yet.
    All,
}

impl Shared {
    /// Renews the leases of what is in hand.
    pub(super) async fn renew(
        &self,
        numbers: Vec<i64>,
        leases: Vec<String>,
    ) -> Result<(), QueueError> {
        let until = self.now().saturating_add(super::millis(self.options.lock));
        let renewed = self
            .active()
            .value(Column::LeaseUntil, until)
            .and_where(Expr::col(Column::Number).is_in(numbers))
            .and_where(Expr::col(Column::Lease).is_in(leases))
            .to_owned();
        write(&*self.database, move |db| {
            Box::pin(async move { db.execute(&renewed).await.map(|_| ()) })
        })
        .await
    }

    /// Hands back what was taken under a lease of which nobody knows, because the answer to its
    /// taking was lost. Returns how many.
    pub(super) async fn hand_back(&self, lease: String) -> Result<u64, QueueError> {
        let back = self
            .active()
            .value(Column::State, JobState::Waiting.as_str())
            .value(Column::Lease, None::<String>)
            .value(Column::LeaseUntil, None::<i64>)
            .and_where(Expr::col(Column::Lease).eq(lease))
            .to_owned();
        write(&*self.database, move |db| {
            Box::pin(async move { Ok(db.execute(&back).await?.rows_affected()) })
        })
        .await
    }

    /// Finds jobs that were abandoned: they wait again, or fail if that has happened too often.
    /// Returns how many.
    pub(super) async fn recover(&self, abandoned: Abandoned) -> Result<u64, QueueError> {
        let now = self.now();
        let which = match abandoned {
            Abandoned::All => Condition::all(),
            Abandoned::Lapsed => Condition::all().add(Expr::col(Column::LeaseUntil).lt(now)),
        };
        let most = i32::try_from(self.options.most_stalls).unwrap_or(i32::MAX);
        let stalls = || Expr::col(Column::Stalls);
        let failed = self
            .active()
            .value(Column::State, JobState::Failed.as_str())
            .value(Column::Stalls, stalls().add(1))
            .value(Column::AttemptsMade, Expr::col(Column::AttemptsMade).add(1))
            .value(Column::FailedReason, STALLED_TOO_OFTEN)
            .value(Column::FinishedAt, now)
            .value(Column::Lease, None::<String>)
            .value(Column::LeaseUntil, None::<i64>)
            .cond_where(which.clone())
            .and_where(stalls().gte(most))
            .to_owned();
        let waiting = self
            .active()
            .value(Column::State, JobState::Waiting.as_str())
            .value(Column::Stalls, stalls().add(1))
            .value(Column::Lease, None::<String>)
            .value(Column::LeaseUntil, None::<i64>)
            .cond_where(which)
            .to_owned();
        let found = write(&*self.database, move |db| {
            Box::pin(async move {
                let failed = db.execute(&failed).await?.rows_affected();
                let waiting = db.execute(&waiting).await?.rows_affected();
                Ok((failed, waiting))
            })
        });
        let (failed, waiting) = found.await?;
        if failed + waiting > 0 {
            tracing::warn!(event = "jobs.stalled", waiting, failed);
        }
        Ok(failed + waiting)
    }

    /// An update of jobs in hand.
    pub(super) fn active(&self) -> UpdateStatement {
        Query::update()
            .table(Entity)
            .and_where(Expr::col(Column::Queue).eq(self.options.name.as_str()))
            .and_where(Expr::col(Column::State).eq(JobState::Active.as_str()))
            .to_owned()
    }
}
