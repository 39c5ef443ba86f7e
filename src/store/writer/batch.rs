//! One commit: what it holds, and what is undone where it fails.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use sea_orm::{
    DatabaseConnection, DatabaseExecutor, DatabaseTransaction, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use super::super::error::StoreError;
use super::super::write_counts::WriteCounts;
use super::job::{Job, Kind};

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
    jobs: &mut [Box<dyn Job>],
    counts: &WriteCounts,
) -> Result<(), Undone> {
    let ran = AssertUnwindSafe(run_batch(db, jobs, counts)).catch_unwind();
    ran.await.unwrap_or_else(|_| {
        let what = "a write panicked, which is a defect of vigia; nothing was written";
        Err(Undone::Open(StoreError::unavailable(what)))
    })
}

async fn run_batch(
    db: &DatabaseConnection,
    jobs: &mut [Box<dyn Job>],
    counts: &WriteCounts,
) -> Result<(), Undone> {
    counts.commits.one();
    match jobs {
        [job] if job.kind() != Kind::Several => {
            job.run(&DatabaseExecutor::Connection(db)).await;
            Ok(())
        }
        [job] => {
            let transaction = begin(db).await?;
            let stays = job.run(&DatabaseExecutor::Transaction(&transaction)).await;
            end(transaction, stays).await
        }
        jobs => {
            if jobs.iter().all(|job| job.is_repeatable()) && run_together(db, jobs).await? {
                return Ok(());
            }
            run_apart(db, jobs, counts).await
        }
    }
}

/// Runs all of them as one; where one of them fails nothing stands, and the answer is `false`.
async fn run_together(db: &DatabaseConnection, jobs: &mut [Box<dyn Job>]) -> Result<bool, Undone> {
    let transaction = begin(db).await?;
    for job in jobs {
        if !job.is_abandoned() && !job.run(&DatabaseExecutor::Transaction(&transaction)).await {
            end(transaction, false).await?;
            return Ok(false);
        }
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
