//! Showing jobs, and letting failed ones run again.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};

use super::database::{read, write};
use super::entity::{Column, Entity};
use super::{Shared, TableQueue};
use crate::queue::{Counts, Entry, JobState, QueueError};

impl TableQueue {
    pub(in crate::queue) async fn list(
        &self,
        states: &[JobState],
        limit: u64,
    ) -> Result<Vec<Entry>, QueueError> {
        let now = self.shared.now();
        let mut entries = vec![];
        for state in states {
            let latest = match state {
                JobState::Completed | JobState::Failed => Column::FinishedAt,
                _ => Column::AddedAt,
            };
            let query = self.shared.in_state(*state, now);
            let query = query.order_by_desc(latest).order_by_desc(Column::Number);
            let rows = read(&*self.shared.database, move |db| {
                Box::pin(async move { query.limit(limit).all(db).await })
            });
            entries.extend(rows.await?.into_iter().map(|row| row.entry(now)));
        }
        Ok(entries)
    }

    pub(in crate::queue) async fn show(&self, id: &str) -> Result<Entry, QueueError> {
        let query = self.shared.jobs().filter(Column::Id.eq(id));
        let found = read(&*self.shared.database, move |db| {
            Box::pin(async move { query.one(db).await })
        });
        let found = found.await?;
        let row = found.ok_or_else(|| QueueError::NotFound(id.to_owned()))?;
        Ok(row.entry(self.shared.now()))
    }

    pub(in crate::queue) async fn retry(&self, id: &str) -> Result<(), QueueError> {
        let again = Query::update()
            .table(Entity)
            .value(Column::State, JobState::Waiting.as_str())
            .value(Column::DueAt, self.shared.now())
            .value(Column::FinishedAt, None::<i64>)
            .and_where(Expr::col(Column::Queue).eq(self.shared.options.name.as_str()))
            .and_where(Expr::col(Column::Id).eq(id))
            .and_where(Expr::col(Column::State).eq(JobState::Failed.as_str()))
            .to_owned();
        let changed = write(&*self.shared.database, move |db| {
            Box::pin(async move { Ok(db.execute(&again).await?.rows_affected()) })
        });
        if changed.await? == 0 {
            let state = self.show(id).await?.state;
            return Err(QueueError::Refused(format!(
                "job `{id}` is {state}: only one that has failed can be tried again"
            )));
        }
        self.shared.added.notify_one();
        Ok(())
    }

    pub(in crate::queue) async fn counts(&self) -> Result<Counts, QueueError> {
        let now = self.shared.now();
        let queries = JobState::ALL.map(|state| self.shared.in_state(state, now));
        let counts = read(&*self.shared.database, move |db| {
            Box::pin(async move {
                let mut counts = [0; JobState::ALL.len()];
                for (count, query) in counts.iter_mut().zip(queries) {
                    *count = query.count(db).await?;
                }
                Ok(counts)
            })
        });
        let [waiting, delayed, active, completed, failed] = counts.await?;
        Ok(Counts {
            waiting,
            delayed,
            active,
            completed,
            failed,
            paused: false,
        })
    }
}

impl Shared {
    fn jobs(&self) -> Select<Entity> {
        Entity::find().filter(Column::Queue.eq(self.options.name.as_str()))
    }

    fn in_state(&self, state: JobState, now: i64) -> Select<Entity> {
        let stored = match state {
            JobState::Delayed => JobState::Waiting,
            other => other,
        };
        let jobs = self.jobs().filter(Column::State.eq(stored.as_str()));
        match state {
            JobState::Waiting => jobs.filter(Column::DueAt.lte(now)),
            JobState::Delayed => jobs.filter(Column::DueAt.gt(now)),
            _ => jobs,
        }
    }
}
