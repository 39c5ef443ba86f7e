//! What the service manager is told, by the protocol of systemd (`sd_notify(3)`): nothing where no
//! service manager asked to be told.
//!
//! `READY=1` is sent when every account has been read that may yet be, or when a standby has begun to
//! wait: its start is over, and what it was started for is to wait. `WATCHDOG=1` is sent for progress
//! alone: of every part that is expected to get on, each within its own limit.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;

use super::standby::Standby;
use crate::actors::{Readiness, Shared};
use crate::clock::Clock;
use crate::supervision::Progress;

/// Between looks at readiness and progress.
const LOOK: Duration = Duration::from_millis(100);
/// The time that is asked for while a start or a stop takes its time, and how often.
const EXTENSION: Duration = Duration::from_secs(30);
const EXTEND_EVERY: Duration = Duration::from_secs(5);

/// The service manager.
pub struct Manager {
    clock: Clock,
    /// How often it wants to hear of progress: at half the time after which it gives the process up.
    watchdog: Option<Duration>,
    status: RefCell<String>,
    unheard: Cell<bool>,
}

/// A time that comes again and again.
struct Every {
    period: Duration,
    next: Duration,
}

impl Every {
    /// Comes at the first look.
    fn of(period: Duration) -> Self {
        Self {
            period,
            next: Duration::ZERO,
        }
    }

    fn has_come(&mut self, now: Duration) -> bool {
        let come = now >= self.next;
        if come {
            self.next = now + self.period;
        }
        come
    }
}

impl Manager {
    /// The one of this process's environment.
    pub fn of_environment() -> Self {
        Self {
            clock: Clock::start(),
            watchdog: sd_notify::watchdog_enabled().map(|after| after / 2),
            status: RefCell::default(),
            unheard: Cell::new(false),
        }
    }

    /// Says that the start is under way; it may bring tables up to date, which takes as long as it
    /// takes.
    pub fn starting(&self) {
        self.status("starting");
        self.extend();
    }

    /// Tells of a process that waits for its turn, for as long as it is polled.
    pub async fn while_standing_by(&self, standby: &Standby) -> Infallible {
        let mut feeding = self.feeding();
        let mut ready = false;
        loop {
            let awaited = standby.awaited();
            if !awaited.holder.is_empty() {
                self.status(&format!("standing by, while {} trades", awaited.holder));
                if !ready {
                    ready = true;
                    self.tell(&[NotifyState::Ready]);
                }
            }
            self.feed(&mut feeding, &standby.progress);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells of a running service, for as long as it is polled.
    pub async fn while_serving(&self, shared: &Shared) -> Infallible {
        let (mut feeding, mut extending) = (self.feeding(), Every::of(EXTEND_EVERY));
        let mut ready = false;
        loop {
            let readiness = Readiness::of(shared);
            if !ready && readiness.is_complete() {
                ready = true;
                self.tell(&[NotifyState::Ready]);
                tracing::info!(
                    event = "service.ready",
                    accounts = readiness.accounts,
                    live = readiness.live,
                    took_ms = shared.clock.mono().as_millis() as u64
                );
            }
            if !ready && extending.has_come(self.clock.awake()) {
                self.extend();
            }
            if self.feed(&mut feeding, &shared.progress) {
                let before = if ready { "" } else { "starting: " };
                self.status(&format!("{before}{readiness}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells of a stop under way, for as long as it is polled: executions in hand have their time.
    pub async fn while_stopping(&self) -> Infallible {
        self.tell(&[NotifyState::Stopping]);
        self.status("stopping: no new work is taken, what is under way ends");
        let mut extending = Every::of(EXTEND_EVERY);
        loop {
            if extending.has_come(self.clock.awake()) {
                self.extend();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn feeding(&self) -> Option<Every> {
        self.watchdog.map(Every::of)
    }

    /// Feeds the watchdog when its time has come and all get on; says whether they do.
    fn feed(&self, feeding: &mut Option<Every>, progress: &Progress) -> bool {
        let late = progress.late();
        if !late.is_empty() {
            let late: Vec<_> = late.iter().map(|late| late.part.as_str()).collect();
            self.status(&format!("no progress: {}", late.join(", ")));
            return false;
        }
        let now = self.clock.awake();
        if feeding
            .as_mut()
            .is_some_and(|feeding| feeding.has_come(now))
        {
            self.tell(&[NotifyState::Watchdog]);
        }
        true
    }

    fn extend(&self) {
        let microseconds = EXTENSION.as_micros() as u32;
        self.tell(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// One line for people, told when it changes.
    fn status(&self, text: &str) {
        if self.status.borrow().as_str() != text {
            text.clone_into(&mut self.status.borrow_mut());
            self.tell(&[NotifyState::Status(text)]);
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states)
            && !self.unheard.replace(true)
        {
            tracing::warn!(event = "manager.unheard", %error, "the service manager does not hear");
        }
    }
}
