//! What is written, and what is answered to whoever wished it.

use futures_util::future::BoxFuture;
use sea_orm::DatabaseExecutor;
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
