//! A thread that stands still cannot be replaced from inside. The watchdog lives on another thread,
//! listens for a beat, and past a limit ends the process for its service manager to start again;
//! the journal makes that safe. Two threads that watch each other leave none unwatched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::progress::Marker;
use crate::clock::Clock;

/// How often the watched thread beats.
const BEAT: Duration = Duration::from_millis(100);
/// A watcher that comes so late to its look has stood still itself, as where the whole process was
/// frozen: that says nothing of whom it watches.
const LATE_LOOK: Duration = Duration::from_millis(500);
/// Exit code of a process that the watchdog ended.
const STALLED: i32 = 70;

/// The numbers of the watchdog.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A beat missing for so long is reported.
    pub report: Duration,
    /// A beat missing for so long ends the process.
    pub end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            report: Duration::from_secs(2),
            end: Duration::from_secs(60),
        }
    }
}

/// The beat of a watched thread.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Beats for as long as it is polled, on the watched thread.
    pub async fn beat(self, progress: Marker) {
        loop {
            self.0.fetch_add(1, Ordering::Relaxed);
            progress.mark();
            tokio::time::sleep(BEAT).await;
        }
    }

    fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long a pulse has been silent while somebody listened.
#[derive(Debug, Default)]
struct Silence {
    beats: u64,
    looked_at: Duration,
    length: Duration,
}

impl Silence {
    /// One more look, at this time since the start of the process.
    fn look(&mut self, beats: u64, now: Duration) -> Duration {
        let since = now.saturating_sub(self.looked_at);
        self.looked_at = now;
        if beats == self.beats {
            self.length += if since < LATE_LOOK { since } else { BEAT };
        } else {
            (self.beats, self.length) = (beats, Duration::ZERO);
        }
        self.length
    }
}

/// Watches the pulse of a thread from another one, for as long as it is polled.
pub async fn watch(thread: &'static str, pulse: Pulse, clock: Clock, limits: Limits) {
    let mut reported = false;
    let mut silence = Silence::default();
    loop {
        tokio::time::sleep(BEAT).await;
        // A machine that was suspended is no thread that stands still.
        let silent = silence.look(pulse.beats(), clock.awake());
        let silent_ms = silent.as_millis() as u64;
        if silent >= limits.end {
            tracing::error!(
                event = "watchdog.ends",
                thread,
                silent_ms,
                "the thread stands still"
            );
            std::process::exit(STALLED);
        }
        if silent >= limits.report && !reported {
            tracing::error!(
                event = "watchdog.stalled",
                thread,
                silent_ms,
                "the thread is late"
            );
        }
        if silent < limits.report && reported {
            tracing::info!(
                event = "watchdog.recovered",
                thread,
                "the thread runs again"
            );
        }
        reported = silent >= limits.report;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_frozen_is_no_thread_that_stands_still() {
        let mut silence = Silence::default();
        let mut now = Duration::ZERO;
        let mut look = |beats, after| {
            now += after;
            silence.look(beats, now)
        };
        assert_eq!(look(1, BEAT), Duration::ZERO, "it beats");
        assert_eq!(look(1, BEAT), BEAT);
        assert_eq!(look(1, BEAT), 2 * BEAT, "it stands still");
        // Nobody looked for an hour: all that is known is that this look found nothing new.
        assert_eq!(look(1, Duration::from_secs(3600)), 3 * BEAT);
        assert_eq!(look(2, BEAT), Duration::ZERO, "it beats again");
    }
}
