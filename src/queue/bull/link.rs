//! What is known of the link to Redis: what the heartbeat finds, and what the worker that takes jobs
//! complains of.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::queue::health::{self, Health};

/// A complaint counts for so long: a worker whose fetches go on failing complains again sooner.
const COMPLAINT_COUNTS: Duration = Duration::from_millis(1500);

/// The link, as the worker of one generation sees it.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
    generation: u64,
}

struct Shared {
    health: watch::Sender<Health>,
    clock: Clock,
    generation: AtomicU64,
    complaint: Mutex<Option<(Duration, String)>>,
    suspected: Notify,
    parked: AtomicUsize,
    gone: watch::Sender<bool>,
}

impl Link {
    pub(super) fn new(health: watch::Sender<Health>, clock: Clock) -> Self {
        let shared = Shared {
            health,
            clock,
            generation: AtomicU64::new(0),
            complaint: Mutex::new(None),
            suspected: Notify::new(),
            parked: AtomicUsize::new(0),
            gone: watch::Sender::new(false),
        };
        Self {
            shared: Arc::new(shared),
            generation: 0,
        }
    }

    /// For the worker that takes jobs from now on.
    pub(super) fn worker(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            generation: self.shared.generation.load(Ordering::Relaxed),
        }
    }

    /// What the worker that took jobs complains of does not count any more.
    pub(super) fn retired(&self) {
        self.shared.generation.fetch_add(1, Ordering::Relaxed);
        *self.complaint() = None;
    }

    /// Redis answers. It may still refuse what the worker wants.
    pub(super) fn beat(&self, paused: bool) {
        let now = self.shared.clock.mono();
        let refused = match &*self.complaint() {
            Some((at, cause)) if now.saturating_sub(*at) < COMPLAINT_COUNTS => Some(cause.clone()),
            _ => None,
        };
        if let Some(cause) = refused {
            return self.lost(&cause);
        }
        let mut since = None;
        self.shared.health.send_if_modified(|health| {
            let before = (health.link.clone(), health.paused);
            since = health.connected();
            health.paused = paused;
            before != (health.link.clone(), paused)
        });
        if let Some(since) = since {
            let gap = self.shared.clock.utc() - since;
            tracing::info!(event = "queue.resumed", gap_ms = gap.num_milliseconds());
        }
    }

    /// Redis does not answer, or refuses.
    pub(super) fn lost(&self, cause: &str) {
        let now = self.shared.clock.utc();
        let mut news = false;
        self.shared.health.send_modify(|health| {
            news = health.lost(cause, now);
        });
        if news {
            tracing::warn!(event = "queue.lost", cause);
        }
    }

    /// The worker complains: the heartbeat should look at once.
    pub(super) fn suspect(&self, cause: &str) {
        if self.generation == self.shared.generation.load(Ordering::Relaxed) {
            *self.complaint() = Some((self.shared.clock.mono(), cause.to_owned()));
            self.shared.suspected.notify_one();
        }
    }

    pub(super) async fn suspected(&self) {
        self.shared.suspected.notified().await;
    }

    /// Waits until Redis answers. False when nobody watches it any more.
    pub(super) async fn answers(&self) -> bool {
        let mut health = self.shared.health.subscribe();
        let mut gone = self.shared.gone.subscribe();
        tokio::select! {
            _ = gone.wait_for(|gone| *gone) => false,
            seen = health.wait_for(|health| health.link == health::Link::Connected) => seen.is_ok(),
        }
    }

    /// Nobody watches Redis any more.
    pub(super) fn leave(&self) {
        self.shared.gone.send_replace(true);
    }

    /// Counts a job as in hand until what it returns is dropped.
    pub(super) fn in_hand(&self) -> InHand {
        self.shared.health.send_modify(|health| health.in_hand += 1);
        InHand(Arc::clone(&self.shared))
    }

    /// Counts a job as parked until what it returns is dropped.
    pub(super) fn parked(&self) -> Parked {
        self.shared.parked.fetch_add(1, Ordering::Relaxed);
        // There is more room now.
        self.shared.suspected.notify_one();
        Parked(Arc::clone(&self.shared))
    }

    pub(super) fn count_parked(&self) -> usize {
        self.shared.parked.load(Ordering::Relaxed)
    }

    fn complaint(&self) -> std::sync::MutexGuard<'_, Option<(Duration, String)>> {
        let complaint = self.shared.complaint.lock();
        complaint.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job in hand.
pub(super) struct InHand(Arc<Shared>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.health.send_modify(|health| {
            health.in_hand = health.in_hand.saturating_sub(1);
        });
    }
}

/// A job that takes up no room.
pub(super) struct Parked(Arc<Shared>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::Relaxed);
    }
}
