//! Where events go: into the log, into the figures, to whoever listens.

use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Event;
use super::metrics::Metrics;
use crate::clock::Clock;

/// Events that a listener may fall behind by; beyond, it misses the oldest. Nothing that must not
/// be lost depends on a listener.
const LISTENERS_LAG: usize = 4096;

/// Where events go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    listeners: broadcast::Sender<Event>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Events {
    /// Nobody listens yet, nothing was counted.
    pub fn new(clock: Clock) -> Self {
        Self {
            listeners: broadcast::channel(LISTENERS_LAG).0,
            metrics: Arc::default(),
            clock,
        }
    }

    /// Logs an event, counts it and tells the listeners.
    pub fn emit(&self, event: Event) {
        event.log();
        self.metrics.count(&event, self.clock.utc());
        // Nobody listening is the usual case.
        let _ = self.listeners.send(event);
    }

    /// Hears all events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.listeners.subscribe()
    }

    /// All events from now on, for an actor; but those that it fell too far behind for.
    pub fn stream(&self) -> impl Stream<Item = Event> + use<> {
        unfold(self.listen(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// What was counted, of events and beside them.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
