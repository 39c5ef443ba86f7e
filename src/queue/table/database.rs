//! What the queue asks of the database. It does not know the store; whoever builds it lends it the
//! store's one writer and its readers.

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseExecutor, DbErr};
use tokio::sync::oneshot;

use super::unavailable;
use crate::queue::QueueError;

/// What is to be done on a connection.
pub type Work =
    Box<dyn for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<(), DbErr>> + Send>;

/// Why the database did not do it; with what to do about that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseError(pub String);

/// A database that holds the table `jobs`.
pub trait Database: Send + Sync {
    /// Does it in a transaction of its own, among whatever else writes. All of it stands when this
    /// returns, or nothing does; where the answer did not come in time, nobody knows which.
    fn write(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Does it on a connection that only reads.
    fn read(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>>;
}

/// As [`Database::write`], with what the work found.
pub(super) async fn write<T, F>(database: &dyn Database, work: F) -> Result<T, QueueError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, DbErr>> + Send + 'static,
{
    let (work, found) = told(work);
    database.write(work).await.map_err(unavailable)?;
    found.await.map_err(unavailable)
}

/// As [`Database::read`], with what the work found.
pub(super) async fn read<T, F>(database: &dyn Database, work: F) -> Result<T, QueueError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, DbErr>> + Send + 'static,
{
    let (work, found) = told(work);
    database.read(work).await.map_err(unavailable)?;
    found.await.map_err(unavailable)
}

fn told<T, F>(work: F) -> (Work, oneshot::Receiver<T>)
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, DbErr>> + Send + 'static,
{
    let (tell, found) = oneshot::channel();
    let work: Work = Box::new(move |connection| {
        Box::pin(async move {
            let told = work(connection).await?;
            // Nobody waits: the caller was told that the outcome is unknown.
            let _ = tell.send(told);
            Ok(())
        })
    });
    (work, found)
}
