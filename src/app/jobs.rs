//! The job queue, built for the backend that is configured.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseExecutor, DbErr};

use crate::clock::Clock;
use crate::config::{QueueBackend, Settings};
use crate::queue::bull::BullQueue;
use crate::queue::table::{Database, DatabaseError, TableQueue, Work};
use crate::queue::{JobQueue, QueueError, QueueOptions};
use crate::store::{Kind, Store, StoreError};

/// The job queue of the settings. Nothing is connected yet.
///
/// # Errors
/// An address that cannot be one.
pub fn job_queue(settings: &Settings, store: &Store, clock: Clock) -> Result<JobQueue, QueueError> {
    let queue = &settings.queue;
    let options = QueueOptions {
        name: queue.name.clone(),
        take: queue.take,
        lock: queue.lock(),
        stalled_every: queue.stalled_every(),
        most_stalls: queue.max_stalled,
        keep_completed: queue.keep_completed,
        keep_failed: queue.keep_failed,
        poll: queue.poll(),
    };
    Ok(match queue.backend {
        QueueBackend::Redis => {
            let bull = BullQueue::new(&queue.redis_url, &queue.prefix, options, clock)?;
            JobQueue::Bull(bull)
        }
        QueueBackend::Database => {
            let database = Arc::new(Lent(store.clone()));
            // The data folder is locked by the one process that consumes.
            let alone = true;
            JobQueue::Table(TableQueue::new(database, options, alone, clock))
        }
    })
}

/// The store, as the queue may use it: its writer and its readers.
struct Lent(Store);

impl Database for Lent {
    fn write(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let written = self.0.write(Kind::Several, move |db| {
                Box::pin(async move { work(db).await.map_err(StoreError::from) })
            });
            written.await.map_err(refused)
        })
    }

    fn read(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let read = self.0.read(async move |db| {
                let executor = DatabaseExecutor::Connection(db);
                work(&executor)
                    .await
                    .map_err(|error: DbErr| StoreError::from(error))
            });
            read.await.map_err(refused)
        })
    }
}

fn refused(error: StoreError) -> DatabaseError {
    DatabaseError(error.to_string())
}
