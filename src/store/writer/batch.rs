//! One commit: what it holds, and what is undone where it fails.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use sea_orm::{
    DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::super::error::StoreError;
use super::super::write_counts::WriteCounts;
use super::incoming::Incoming;
use super::job::{Job, Kind};
use super::together;

/// Why nothing of a batch stands.
pub(super) enum Undone {
    /// The connection is as before.
    Clean(StoreError),
    /// The connection may be inside a transaction still: it must not be used again.
    Open(StoreError),
}

fn open(error: sea_orm::DbErr) -> Undone {
    Undone::Open(error.into())
}

/// A panic in a job must not end the writer: it undoes the batch, and the connection is replaced.
pub(super) async fn run(
    db: &DatabaseConnection,
    jobs: &mut Vec<Box<dyn Job>>,
    counts: &WriteCounts,
    incoming: &mut Incoming,
) -> Result<(), Undone> {
    let ran = AssertUnwindSafe(run_batch(db, jobs, counts, incoming)).catch_unwind();
    ran.await.unwrap_or_else(|_| {
        let what = "a write panicked, which is a defect of vigia; nothing was written";
        Err(Undone::Open(StoreError::unavailable(what)))
    })
}

async fn run_batch(
    db: &DatabaseConnection,
    jobs: &mut Vec<Box<dyn Job>>,
    counts: &WriteCounts,
    incoming: &mut Incoming,
) -> Result<(), Undone> {
    counts.commits.one();
    if let [job] = jobs.as_mut_slice() {
        if job.kind() != Kind::Several {
            job.run(&DatabaseExecutor::Connection(db)).await;
            return Ok(());
        }
        if !job.is_repeatable() {
            let transaction = begin(db).await?;
            let stays = job.run(&DatabaseExecutor::Transaction(&transaction)).await;
            return end(transaction, stays).await;
        }
    }
    if jobs.iter().all(|job| job.is_repeatable()) {
        // Elsewhere nothing goes together, and the first try is the second.
        let in_a_file = db.get_database_backend() == DbBackend::Sqlite;
        for together in [true, false].into_iter().skip(usize::from(!in_a_file)) {
            if run_together(db, jobs, incoming, together).await? {
                return Ok(());
            }
            counts.commits.one();
        }
        // One alone has its answer, and is undone.
        if jobs.len() == 1 {
            return Ok(());
        }
    }
    run_apart(db, jobs, counts).await
}

/// Runs all of them in one transaction, and what joins them meanwhile; where one of them fails nothing
/// stands, and the answer is `false`.
async fn run_together(
    db: &DatabaseConnection,
    jobs: &mut Vec<Box<dyn Job>>,
    incoming: &mut Incoming,
    together: bool,
) -> Result<bool, Undone> {
    let transaction = begin(db).await?;
    let mut ran = 0;
    while ran < jobs.len() {
        if !together::run(&transaction, &mut jobs[ran..], together).await {
            end(transaction, false).await?;
            return Ok(false);
        }
        ran = jobs.len();
        jobs.extend(incoming.joins(ran));
    }
    end(transaction, true).await?;
    Ok(true)
}

/// Runs them so that each stands or falls by itself.
async fn run_apart(
    db: &DatabaseConnection,
    jobs: &mut [Box<dyn Job>],
    counts: &WriteCounts,
) -> Result<(), Undone> {
    let transaction = begin(db).await?;
    for job in jobs {
        if job.is_abandoned() {
            continue;
        }
        counts.savepoints.one();
        let savepoint = transaction.begin().await.map_err(open)?;
        let stays = job.run(&DatabaseExecutor::Transaction(&savepoint)).await;
        end(savepoint, stays).await?;
    }
    end(transaction, true).await
}

async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, Undone> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let begun = db.begin_with_options(options).await;
    begun.map_err(|error| Undone::Clean(error.into()))
}

async fn end(transaction: DatabaseTransaction, stays: bool) -> Result<(), Undone> {
    let ended = if stays {
        transaction.commit().await
    } else {
        transaction.rollback().await
    };
    ended.map_err(open)
}
