//! The address of whoever does a job now. Restarts replace the actor; the slot stays.

use std::sync::Arc;

use actix::dev::{Envelope, ToEnvelope};
use actix::prelude::*;
use arc_swap::ArcSwapOption;

/// Nobody does the job now, or it ended while it was asked: what was asked may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} is being restarted")]
pub struct Gone(pub &'static str);

/// Holds the present address of an actor that others send to. Cheap to clone; all clones see the
/// same address.
pub struct Slot<A: Actor> {
    name: &'static str,
    present: Arc<ArcSwapOption<Addr<A>>>,
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            present: Arc::clone(&self.present),
        }
    }
}

impl<A: Actor> Slot<A> {
    /// An empty slot for the job of this name.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            present: Arc::new(ArcSwapOption::empty()),
        }
    }

    /// Puts a fresh actor in.
    pub fn fill(&self, addr: Addr<A>) {
        self.present.store(Some(Arc::new(addr)));
    }

    /// Whether somebody does the job.
    pub fn is_filled(&self) -> bool {
        self.present.load().is_some()
    }

    /// Takes the address out: what is sent from now on finds nobody.
    pub fn clear(&self) {
        self.present.store(None);
    }

    /// Tells the present actor, if there is one. Returns whether there was: the message of an actor
    /// that dies before it reads it is lost, so nothing that must not be lost goes this way alone.
    pub fn tell<M>(&self, message: M) -> bool
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        Envelope<A>: Send,
    {
        match &*self.present.load() {
            Some(addr) => {
                addr.do_send(message);
                true
            }
            None => false,
        }
    }

    /// Asks the present actor.
    ///
    /// # Errors
    /// [`Gone`] where there is none or it died over the question.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, Gone>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let addr = self.present.load_full().ok_or(Gone(self.name))?;
        addr.send(message).await.map_err(|_| Gone(self.name))
    }
}
