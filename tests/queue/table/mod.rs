//! The queue in the service's own database: the same semantics, on a real SQLite file.

mod attempts;
mod handing_out;
mod keeping;
mod leases;
mod outages;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbErr, TransactionTrait};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;
use vigia::clock::Clock;
use vigia::queue::table::{Database, DatabaseError, TableQueue, Work};
use vigia::queue::{Backoff, JobQueue, JobState, NewJob, Outcome, QueueOptions};

use crate::postgres_server::Server;
use crate::stage::{Works, done, options};
use crate::waiting::until;

/// Makes a test of each story for each kind of database.
macro_rules! with_both {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(super::Stage::new(None).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let server = crate::postgres_server::Server::start();
                super::$story(super::Stage::new(Some(server)).await).await;
            })*
        }
    };
}
use with_both;

/// A database with the tables of the service.
struct Stage {
    _folder: TempDir,
    _server: Option<Server>,
    url: String,
    database: Arc<Direct>,
}

/// One connection, used by the queue alone.
struct Direct(DatabaseConnection);

impl Database for Direct {
    fn write(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let done: Result<(), DbErr> = async {
                let transaction = self.0.begin().await?;
                work(&DatabaseExecutor::Transaction(&transaction)).await?;
                transaction.commit().await
            }
            .await;
            done.map_err(|error| DatabaseError(error.to_string()))
        })
    }

    fn read(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let done = work(&DatabaseExecutor::Connection(&self.0)).await;
            done.map_err(|error| DatabaseError(error.to_string()))
        })
    }
}

/// Nothing is found by looking: only by being told.
fn no_poll() -> QueueOptions {
    QueueOptions {
        poll: Duration::from_secs(60),
        ..options()
    }
}

fn short() -> QueueOptions {
    QueueOptions {
        lock: Duration::from_secs(1),
        stalled_every: Duration::from_millis(200),
        ..options()
    }
}

fn job() -> NewJob {
    NewJob {
        id: None,
        data: json!({ "userId": "u", "automationId": "a" }),
        priority: 8,
        delay: Duration::ZERO,
        attempts: 3,
        backoff: Some(Backoff::Exponential(Duration::from_millis(100))),
        keep_completed: None,
        keep_failed: None,
    }
}

impl Stage {
    async fn new(server: Option<Server>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vigia.db");
        let url = match &server {
            Some(server) => server.url(),
            None => format!("sqlite://{}?mode=rwc", path.display()),
        };
        let store = vigia::store::Store::open(&url, None).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        let database = Arc::new(Direct(connect(&url).await));
        Self {
            _folder: folder,
            _server: server,
            url,
            database,
        }
    }

    /// As of the only process that takes jobs here.
    fn queue(&self, options: QueueOptions) -> JobQueue {
        self.queue_of(options, true)
    }

    fn queue_of(&self, options: QueueOptions, alone: bool) -> JobQueue {
        let database: Arc<dyn Database> = Arc::clone(&self.database) as _;
        JobQueue::Table(TableQueue::new(database, options, alone, Clock::start()))
    }

    async fn sql(&self, sql: &str) {
        self.database.0.execute_unprepared(sql).await.unwrap();
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1);
    if url.starts_with("postgres") {
        options.set_schema_search_path("vigia");
    }
    sea_orm::Database::connect(options).await.unwrap()
}

async fn is(queue: &JobQueue, id: &str, state: JobState) {
    until(&format!("job {id} to be {state}"), || async {
        let entry = queue.show(id).await.unwrap();
        (entry.state == state).then_some(())
    })
    .await;
}
