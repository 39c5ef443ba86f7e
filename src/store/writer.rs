//! The one writer. SQLite lets one connection write at a time, and PostgreSQL writes more by one
//! that commits for many than by many; so all writes go through one task that owns a connection and
//! takes them from a bounded queue. What has queued up meanwhile is made durable by one commit, each
//! write behind a savepoint of its own, and answered after it.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{
    DatabaseConnection, DatabaseExecutor, DatabaseTransaction, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::StoreError;
use super::location::Location;
use super::write_counts::{Fault, WriteCounts};
use crate::clock::Clock;

/// How many writes may wait. One more is refused with [`StoreError::Busy`].
pub const QUEUE: usize = 1024;
/// How many waiting writes share one commit.
const BATCH: usize = 100;

/// How a write is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At most one statement writes: when nothing else waits, it needs no transaction.
    One,
    /// Several statements that stand or fall together.
    Several,
    /// Makes its own transactions, so it shares none and is given the bare connection.
    Alone,
}

/// Runs on the writer's connection.
trait Job: Send {
    fn kind(&self) -> Kind;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs it once; says whether what it wrote may stay.
    fn run<'c>(&'c mut self, db: &'c DatabaseExecutor<'c>) -> BoxFuture<'c, bool>;
    /// Answers what came of it; `undone` is why nothing of it stands, if so.
    fn answer(self: Box<Self>, undone: Option<&StoreError>);
}

struct Typed<T, E, F> {
    kind: Kind,
    work: Option<F>,
    found: Option<Result<T, E>>,
    waiting: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Typed<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn is_abandoned(&self) -> bool {
        self.waiting.is_closed()
    }

    fn run<'c>(&'c mut self, db: &'c DatabaseExecutor<'c>) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return false;
            };
            let found = work(db).await;
            let stays = found.is_ok();
            self.found = Some(found);
            stays
        })
    }

    fn answer(self: Box<Self>, undone: Option<&StoreError>) {
        let not_run = || StoreError::unavailable("the write was not made; make it again");
        let answer = match (self.found, undone) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(cause)) => Err(cause.clone().into()),
            (Some(found), None) => found,
            (None, None) => Err(not_run().into()),
        };
        // Nobody waits: the caller was told that the outcome is unknown.
        let _ = self.waiting.send(answer);
    }
}

enum Message {
    Job(Box<dyn Job>),
    Close,
}

/// The handle of the writer task, which it owns: dropped, it ends the task.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    task: Mutex<Option<Task>>,
    clock: Clock,
    counts: WriteCounts,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Writer {
    /// Starts the task on the current runtime.
    pub(super) fn start(db: DatabaseConnection, location: Location) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let state = State {
            db: Some(db),
            location,
        };
        let task = Task(tokio::spawn(state.serve(messages)));
        Self {
            queue,
            task: Mutex::new(Some(task)),
            clock: Clock::start(),
            counts: WriteCounts::default(),
        }
    }

    /// How writes went.
    pub(super) fn counts(&self) -> &WriteCounts {
        &self.counts
    }

    /// Queues a write and waits for its answer, at most for `patience`.
    pub(super) async fn write<T, E, F>(
        &self,
        kind: Kind,
        patience: Duration,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let wished_at = self.clock.mono();
        let answer = self.answer(kind, patience, work).await;
        let took = self.clock.mono().saturating_sub(wished_at);
        self.counts.took.observe(took);
        if answer.as_ref().is_err_and(Fault::is_outage) {
            self.counts.failed.one();
        }
        answer
    }

    async fn answer<T, E, F>(&self, kind: Kind, patience: Duration, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let job = Typed {
            kind,
            work: Some(work),
            found: None,
            waiting,
        };
        self.queue
            .try_send(Message::Job(Box::new(job)))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy { waiting: QUEUE },
                mpsc::error::TrySendError::Closed(_) => closed(),
            })?;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(closed().into()),
            Err(_) => Err(no_answer(patience).into()),
        }
    }

    /// Makes what is queued durable, closes the connection and waits for the end of the task.
    pub(super) async fn close(&self) {
        let task = {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.take()
        };
        if let Some(mut task) = task {
            // Fails only if the task has ended, and then there is nothing to close.
            let _ = self.queue.send(Message::Close).await;
            let _ = (&mut task.0).await;
        }
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("it is closed; start vigia again")
}

pub(super) fn no_answer(patience: Duration) -> StoreError {
    let patience = patience.as_millis();
    StoreError::unavailable(format!(
        "no answer within {patience} ms; what was to be written may stand or not: try again"
    ))
}

struct State {
    /// `None` after a failure that may have left a transaction open.
    db: Option<DatabaseConnection>,
    location: Location,
}

impl State {
    async fn serve(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut taken = Vec::with_capacity(BATCH);
        while messages.recv_many(&mut taken, BATCH).await > 0 {
            let mut batch = vec![];
            for message in taken.drain(..) {
                match message {
                    // What is queued already was accepted: it is still made.
                    Message::Close => messages.close(),
                    Message::Job(job) if job.kind() == Kind::Alone => {
                        self.carry_out(std::mem::take(&mut batch)).await;
                        self.carry_out(vec![job]).await;
                    }
                    Message::Job(job) => batch.push(job),
                }
            }
            self.carry_out(batch).await;
        }
        if let Some(db) = self.db.take() {
            // With SQLite this moves the write-ahead log into the file.
            self.location.close(&db).await;
        }
    }

    async fn carry_out(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        jobs.retain(|job| !job.is_abandoned());
        if jobs.is_empty() {
            return;
        }
        let outcome = match (self.deadline(&jobs), self.connected().await) {
            (None, Ok(db)) => run(db, &mut jobs).await,
            (Some(deadline), Ok(db)) => {
                let ran = tokio::time::timeout(deadline, run(db, &mut jobs)).await;
                ran.unwrap_or_else(|_| Err(Undone::Open(no_answer(deadline))))
            }
            (_, Err(error)) => Err(Undone::Clean(error)),
        };
        let undone = match outcome {
            Ok(()) => None,
            Err(Undone::Clean(error)) => Some(error),
            Err(Undone::Open(error)) => {
                if let Some(db) = self.db.take() {
                    self.location.close(&db).await;
                }
                Some(error)
            }
        };
        for job in jobs {
            job.answer(undone.as_ref());
        }
    }

    /// What makes its own transactions may take its time.
    fn deadline(&self, jobs: &[Box<dyn Job>]) -> Option<Duration> {
        let alone = jobs.iter().any(|job| job.kind() == Kind::Alone);
        self.location.commit_deadline().filter(|_| !alone)
    }

    async fn connected(&mut self) -> Result<&DatabaseConnection, StoreError> {
        if self.db.is_none() {
            self.db = Some(self.location.connect_writer().await?);
        }
        self.db.as_ref().ok_or_else(closed)
    }
}

/// Why nothing of a batch stands.
enum Undone {
    /// The connection is as before.
    Clean(StoreError),
    /// The connection may be inside a transaction still: it must not be used again.
    Open(StoreError),
}

fn open(error: sea_orm::DbErr) -> Undone {
    Undone::Open(error.into())
}

/// A panic in a job must not end the writer: it undoes the batch, and the connection is replaced.
async fn run(db: &DatabaseConnection, jobs: &mut [Box<dyn Job>]) -> Result<(), Undone> {
    let ran = AssertUnwindSafe(run_batch(db, jobs)).catch_unwind().await;
    ran.unwrap_or_else(|_| {
        let what = "a write panicked, which is a defect of vigia; nothing was written";
        Err(Undone::Open(StoreError::unavailable(what)))
    })
}

async fn run_batch(db: &DatabaseConnection, jobs: &mut [Box<dyn Job>]) -> Result<(), Undone> {
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
            let transaction = begin(db).await?;
            for job in jobs {
                if job.is_abandoned() {
                    continue;
                }
                let savepoint = transaction.begin().await.map_err(open)?;
                let stays = job.run(&DatabaseExecutor::Transaction(&savepoint)).await;
                end(savepoint, stays).await?;
            }
            end(transaction, true).await
        }
    }
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
