//! The one writer. SQLite lets one connection write at a time, and PostgreSQL writes more by one
//! that commits for many than by many; so all writes go through one task that owns a connection and
//! takes them from a bounded queue, those first that an order waits for. What has queued up meanwhile is
//! made durable by one commit and answered after it. What may run again shares it without further ado, also
//! if it comes while others run, and where one of a batch fails, all of them run anew; of these, and of
//! what runs once, each write has a savepoint of its own.

mod batch;
mod incoming;
mod job;
mod line;
mod together;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseExecutor};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::StoreError;
use super::location::Location;
use super::write_counts::{Fault, WriteCounts};
use crate::clock::Clock;
use batch::{Undone, run};
use incoming::{Incoming, Message};
use job::{Again, AsUsual, Job, Once, Typed, Work};
pub(crate) use job::{Course, Kind, Turn};
use line::Waiting;

/// How many writes may wait. One more is refused with [`StoreError::Busy`].
pub const QUEUE: usize = 1024;
/// What else is sent to the writer: that it is to end.
const CLOSE: usize = 1;

/// The handle of the writer task, which it owns: dropped, it ends the task.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    /// What bounds the queue, with what was taken from it and waits still.
    places: Arc<Semaphore>,
    task: Mutex<Option<Task>>,
    clock: Clock,
    counts: Arc<WriteCounts>,
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
        let (queue, messages) = mpsc::channel(QUEUE + CLOSE);
        let (clock, counts) = (Clock::start(), Arc::new(WriteCounts::default()));
        let state = State {
            db: Some(counted(db, &counts)),
            location,
            clock,
            counts: Arc::clone(&counts),
        };
        let task = Task(tokio::spawn(state.serve(Incoming::of(messages))));
        Self {
            queue,
            places: Arc::new(Semaphore::new(QUEUE)),
            task: Mutex::new(Some(task)),
            clock,
            counts,
        }
    }

    /// How writes went.
    pub(super) fn counts(&self) -> &WriteCounts {
        &self.counts
    }

    /// Queues a write that runs once and waits for its answer, at most for `patience`.
    pub(super) async fn write<T, E, F>(
        &self,
        turn: Turn,
        kind: Kind,
        patience: Duration,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.timed(turn, kind, patience, Once(Some(work))).await
    }

    /// The same for one that may run again: whatever it does besides writing, it does each time.
    pub(super) async fn write_again<T, E, F>(
        &self,
        turn: Turn,
        kind: Kind,
        patience: Duration,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        F: for<'c> Fn(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.timed(turn, kind, patience, Again(work)).await
    }

    /// The same for one whose usual course is known.
    pub(super) async fn write_usual<C>(
        &self,
        turn: Turn,
        kind: Kind,
        patience: Duration,
        course: C,
    ) -> Result<C::Answer, C::Error>
    where
        C: Course<Error: Fault>,
    {
        let work = AsUsual(Arc::new(course));
        self.timed(turn, kind, patience, work).await
    }

    async fn timed<T, E, W>(
        &self,
        turn: Turn,
        kind: Kind,
        patience: Duration,
        work: W,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Fault + Send + 'static,
        W: Work<T, E> + 'static,
    {
        let wished_at = self.clock.mono();
        let (waiting, answer) = oneshot::channel();
        let job = Typed::new(kind, work, waiting);
        let queued = self.queue(turn, Box::new(job), wished_at);
        let answer = match queued {
            Ok(()) => match tokio::time::timeout(patience, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(closed().into()),
                Err(_) => Err(no_answer(patience).into()),
            },
            Err(error) => Err(error.into()),
        };
        let took = self.clock.mono().saturating_sub(wished_at);
        self.counts.took.observe(took);
        if answer.as_ref().is_err_and(Fault::is_outage) {
            self.counts.failed.one();
        }
        answer
    }

    fn queue(&self, turn: Turn, job: Box<dyn Job>, since: Duration) -> Result<(), StoreError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let waiting = Waiting {
            turn,
            job,
            since,
            _place: place.map_err(|_| StoreError::Busy { waiting: QUEUE })?,
        };
        let sent = self.queue.try_send(Message::Job(waiting));
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy { waiting: QUEUE },
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
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
    clock: Clock,
    counts: Arc<WriteCounts>,
}

impl State {
    async fn serve(mut self, mut incoming: Incoming) {
        while incoming.wait().await {
            let batch = incoming.next(self.clock.mono());
            self.carry_out(batch, &mut incoming).await;
        }
        if let Some(db) = self.db.take() {
            // With SQLite this moves the write-ahead log into the file.
            self.location.close(&db).await;
        }
    }

    async fn carry_out(&mut self, mut jobs: Vec<Box<dyn Job>>, incoming: &mut Incoming) {
        jobs.retain(|job| !job.is_abandoned());
        if jobs.is_empty() {
            return;
        }
        let outcome = match (self.deadline(&jobs), self.connected().await) {
            (None, Ok((db, counts))) => run(db, &mut jobs, counts, incoming).await,
            (Some(deadline), Ok((db, counts))) => {
                let running = run(db, &mut jobs, counts, incoming);
                let ran = tokio::time::timeout(deadline, running).await;
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

    async fn connected(&mut self) -> Result<(&DatabaseConnection, &WriteCounts), StoreError> {
        self.location.stands()?;
        if self.db.is_none() {
            let db = self.location.connect_writer().await?;
            self.db = Some(counted(db, &self.counts));
        }
        let db = self.db.as_ref().ok_or_else(closed)?;
        Ok((db, &self.counts))
    }
}

/// The same connection, whose statements are counted.
fn counted(mut db: DatabaseConnection, counts: &Arc<WriteCounts>) -> DatabaseConnection {
    let counts = Arc::clone(counts);
    db.set_metric_callback(move |ran| counts.one(ran.statement));
    db
}
