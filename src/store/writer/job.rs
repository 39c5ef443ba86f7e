//! What is written, and what is answered to whoever wished it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseExecutor, QueryResult, Statement};
use tokio::sync::oneshot;

use super::super::error::StoreError;

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

/// Whose turn it is when several writes wait, the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// What holds orders back, and what keeps the right to send them.
    HoldBack,
    /// What an order waits for that is written down already.
    LetOut,
    /// What an order waits for that is not.
    Fire,
    /// All that nobody's position waits for.
    Other,
}

impl Turn {
    pub(super) const COUNT: usize = 4;
}

/// Runs on the writer's connection.
pub(super) trait Job: Send {
    fn kind(&self) -> Kind;
    /// Whether it may run more than once, all runs but the last being undone.
    fn is_repeatable(&self) -> bool;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// What it usually comes to, see [`Course::usual`].
    fn usual(&self) -> Option<Vec<Statement>> {
        None
    }
    /// It came to that, and these rows came of it. Says whether what was written may stay.
    fn went_as_usual(&mut self, _rows: &[QueryResult]) -> bool {
        false
    }
    /// Runs it; says whether what it wrote may stay.
    fn run<'c>(&'c mut self, db: &'c DatabaseExecutor<'c>) -> BoxFuture<'c, bool>;
    /// Answers what came of it; `undone` is why nothing of it stands, if so.
    fn answer(self: Box<Self>, undone: Option<&StoreError>);
}

/// The work of a job.
pub(super) trait Work<T, E>: Send {
    const REPEATABLE: bool;
    /// Begins it; nothing where it has run and cannot run again.
    fn begin<'c>(&mut self, db: &'c DatabaseExecutor<'c>) -> Option<BoxFuture<'c, Result<T, E>>>;

    fn usual(&self) -> Option<Vec<Statement>> {
        None
    }

    fn went_as_usual(&self, _rows: &[QueryResult]) -> Option<Result<T, E>> {
        None
    }
}

/// A write whose usual course is known beforehand. In a file, where each statement costs two hops to
/// another thread and back, those of many such writes go there together.
pub(crate) trait Course: Send + Sync + 'static {
    /// What is answered.
    type Answer: Send + 'static;
    /// What can go wrong.
    type Error: From<StoreError> + Send + 'static;

    /// The statements, for SQLite, each of which returns exactly one row where all goes as usual.
    /// Where one does not, they are undone, and it runs.
    fn usual(&self) -> Result<Vec<Statement>, StoreError>;
    /// The answer when it went as usual, of the rows in the order of the statements.
    fn went_as_usual(&self, rows: &[QueryResult]) -> Result<Self::Answer, Self::Error>;
    /// Runs it, however it goes.
    fn run<'c>(
        self: Arc<Self>,
        db: &'c DatabaseExecutor<'c>,
    ) -> BoxFuture<'c, Result<Self::Answer, Self::Error>>;
}

/// Runs once.
pub(super) struct Once<F>(pub Option<F>);

impl<T, E, F> Work<T, E> for Once<F>
where
    F: for<'c> FnOnce(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send,
{
    const REPEATABLE: bool = false;

    fn begin<'c>(&mut self, db: &'c DatabaseExecutor<'c>) -> Option<BoxFuture<'c, Result<T, E>>> {
        self.0.take().map(|work| work(db))
    }
}

/// Runs as often as it must.
pub(super) struct Again<F>(pub F);

impl<T, E, F> Work<T, E> for Again<F>
where
    F: for<'c> Fn(&'c DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T, E>> + Send,
{
    const REPEATABLE: bool = true;

    fn begin<'c>(&mut self, db: &'c DatabaseExecutor<'c>) -> Option<BoxFuture<'c, Result<T, E>>> {
        Some((self.0)(db))
    }
}

/// Runs as often as it must, and usually together with others.
pub(super) struct AsUsual<C>(pub Arc<C>);

impl<C: Course> Work<C::Answer, C::Error> for AsUsual<C> {
    const REPEATABLE: bool = true;

    fn begin<'c>(
        &mut self,
        db: &'c DatabaseExecutor<'c>,
    ) -> Option<BoxFuture<'c, Result<C::Answer, C::Error>>> {
        Some(Arc::clone(&self.0).run(db))
    }

    fn usual(&self) -> Option<Vec<Statement>> {
        // Whatever is wrong with it, running it says so.
        self.0.usual().ok()
    }

    fn went_as_usual(&self, rows: &[QueryResult]) -> Option<Result<C::Answer, C::Error>> {
        Some(self.0.went_as_usual(rows))
    }
}

/// A job and whoever waits for its answer.
pub(super) struct Typed<T, E, W> {
    kind: Kind,
    work: W,
    found: Option<Result<T, E>>,
    waiting: oneshot::Sender<Result<T, E>>,
}

impl<T, E, W> Typed<T, E, W> {
    pub(super) fn new(kind: Kind, work: W, waiting: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            kind,
            work,
            found: None,
            waiting,
        }
    }
}

impl<T, E, W> Job for Typed<T, E, W>
where
    T: Send,
    E: From<StoreError> + Send,
    W: Work<T, E>,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn is_repeatable(&self) -> bool {
        W::REPEATABLE
    }

    fn is_abandoned(&self) -> bool {
        self.waiting.is_closed()
    }

    fn usual(&self) -> Option<Vec<Statement>> {
        self.work.usual()
    }

    fn went_as_usual(&mut self, rows: &[QueryResult]) -> bool {
        self.found = self.work.went_as_usual(rows);
        matches!(self.found, Some(Ok(_)))
    }

    fn run<'c>(&'c mut self, db: &'c DatabaseExecutor<'c>) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(running) = self.work.begin(db) else {
                return false;
            };
            let found = running.await;
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
