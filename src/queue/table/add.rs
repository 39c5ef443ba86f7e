//! Adding jobs.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::database::write;
use super::entity::{ActiveModel, Column, Entity, stored};
use super::{TableQueue, millis};
use crate::queue::{Added, JobState, NewJob, QueueError};

impl TableQueue {
    pub(in crate::queue) async fn add(&self, job: NewJob) -> Result<Added, QueueError> {
        let shared = &self.shared;
        let now = shared.now();
        let due_at = now.saturating_add(millis(job.delay));
        let (backoff, backoff_ms) = stored(job.backoff);
        let whole = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let kept = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let automation = job.data.get("automationId");
        let own = job.id;
        // The number is known only once the row is there; until then its id is one of nobody else.
        let id = own
            .clone()
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let row = ActiveModel {
            number: NotSet,
            queue: Set(shared.options.name.clone()),
            id: Set(id),
            name: Set(NewJob::NAME.to_owned()),
            data: Set(job.data.to_string()),
            automation: Set(automation.and_then(|id| id.as_str()).map(str::to_owned)),
            state: Set(JobState::Waiting.as_str().to_owned()),
            priority: Set(whole(job.priority)),
            attempts: Set(whole(Ord::max(job.attempts, 1))),
            attempts_made: Set(0),
            stalls: Set(0),
            added_at: Set(now),
            first_due_at: Set(due_at),
            due_at: Set(due_at),
            taken_at: Set(None),
            finished_at: Set(None),
            lease: Set(None),
            lease_until: Set(None),
            backoff: Set(backoff),
            backoff_ms: Set(backoff_ms),
            keep_completed: Set(kept(job.keep_completed)),
            keep_failed: Set(kept(job.keep_failed)),
            return_value: Set(None),
            failed_reason: Set(None),
        };
        let queue = shared.options.name.clone();
        let added = write(&*shared.database, move |db| {
            Box::pin(async move {
                if let Some(id) = own {
                    let known = Entity::find()
                        .filter(Column::Queue.eq(queue))
                        .filter(Column::Id.eq(id.as_str()));
                    let existed = known.one(db).await?.is_some();
                    if !existed {
                        Entity::insert(row).exec_without_returning(db).await?;
                    }
                    return Ok(Added { id, existed });
                }
                let number = Entity::insert(row).exec(db).await?.last_insert_id;
                let named = Query::update()
                    .table(Entity)
                    .value(Column::Id, number.to_string())
                    .and_where(Expr::col(Column::Number).eq(number))
                    .to_owned();
                db.execute(&named).await?;
                Ok(Added {
                    id: number.to_string(),
                    existed: false,
                })
            })
        });
        let added = added.await?;
        shared.added.notify_one();
        Ok(added)
    }
}
