//! The one way to start an actor.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use actix::dev::channel::channel;
use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By its own will.
    Stopped,
    /// By a panic, with its text.
    Panicked(String),
    /// Its owner dropped it, or its thread is gone.
    Cancelled,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// Tells the parent, exactly once for each start, that a child has ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExit {
    /// The parent's name for the child.
    pub child: String,
    /// Which start of it: an exit of an earlier one is no news.
    pub generation: u64,
    /// How it ended.
    pub exit: Exit,
}

/// What becomes of a child whose owner drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerGone {
    /// It ends at once, mid-await: two generations of it must not act side by side.
    End,
    /// It finishes what it is doing and ends when nothing is left to do.
    Finish,
}

/// A started actor. Whoever holds this owns it.
pub struct Child<A: Actor> {
    addr: Addr<A>,
    task: AbortHandle,
    owner_gone: OwnerGone,
}

impl<A: Actor> Child<A> {
    /// Where to send messages. Strong addresses are for owners and [`super::Slot`]s.
    pub fn addr(&self) -> &Addr<A> {
        &self.addr
    }

    /// Ends it at once.
    pub fn end(&self) {
        self.task.abort();
    }
}

impl<A: Actor> Drop for Child<A> {
    fn drop(&mut self) {
        if self.owner_gone == OwnerGone::End {
            self.task.abort();
        }
    }
}

/// Dropped with the child's future, however that comes about; so the notice cannot be forgotten.
struct Notice<T: FnOnce(ChildExit)> {
    to: Option<T>,
    exit: ChildExit,
}

impl<T: FnOnce(ChildExit)> Drop for Notice<T> {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            to(self.exit.clone());
        }
    }
}

/// Tells a parent that is an actor.
pub fn parent<P>(context: &Context<P>) -> impl FnOnce(ChildExit) + Send + 'static
where
    P: Actor<Context = Context<P>> + Handler<ChildExit>,
{
    let parent = context.address();
    move |exit| parent.do_send(exit)
}

/// Starts an actor on an arbiter, under the name its parent knows it by, and tells `to` how it
/// ends: by a panic in a handler, in `started`, in a timer or a spawned future, in `stopping`,
/// `stopped` or its `Drop`, by stopping itself, or with its thread.
///
/// The mailbox is not a bound (`do_send` ignores it): flows from outside are bounded where they
/// enter.
pub fn start<A, T, F>(
    arbiter: &ArbiterHandle,
    name: impl Into<String>,
    generation: u64,
    owner_gone: OwnerGone,
    to: T,
    make: F,
) -> Child<A>
where
    A: Actor<Context = Context<A>>,
    T: FnOnce(ChildExit) + Send + 'static,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    const MAILBOX: usize = 16;
    let (sender, receiver) = channel(MAILBOX);
    let exit = ChildExit {
        child: name.into(),
        generation,
        exit: Exit::Cancelled,
    };
    let mut notice = Notice { to: Some(to), exit };
    // Abortable from any thread; the inner future is made on the actor's own.
    let (gate, task) = abortable(std::future::pending::<()>());
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let life = AssertUnwindSafe(async move {
                let mut context = Context::with_receiver(receiver);
                let actor = make(&mut context);
                let mut future = Box::pin(context.into_future(actor));
                // Caught before the context is dropped: its hooks and `Drop` then run outside the
                // unwinding, where a second panic would abort the process.
                let caught = AssertUnwindSafe(future.as_mut()).catch_unwind().await;
                drop(future);
                caught
            })
            .catch_unwind();
            let exit = tokio::select! {
                biased;
                _ = gate => Exit::Cancelled,
                ended = life => match ended {
                    Ok(Ok(())) => Exit::Stopped,
                    Ok(Err(panic)) | Err(panic) => Exit::Panicked(text_of(&*panic)),
                },
            };
            notice.exit.exit = exit;
            drop(notice);
        });
    });
    Child {
        addr: Addr::new(sender),
        task,
        owner_gone,
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}
