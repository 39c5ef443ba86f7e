//! A thread that stands still cannot be replaced from inside. The watchdog lives on another thread,
//! listens for a beat, and past a limit ends the process for its service manager to start again;
//! the journal makes that safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// How often the watched thread beats.
const BEAT: Duration = Duration::from_millis(100);
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
    pub async fn beat(self, clock: Clock) {
        loop {
            self.0
                .store(clock.awake().as_millis() as u64, Ordering::Relaxed);
            tokio::time::sleep(BEAT).await;
        }
    }

    fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// Watches a pulse from another thread, for as long as it is polled.
pub async fn watch(pulse: Pulse, clock: Clock, limits: Limits) {
    let mut reported = false;
    loop {
        tokio::time::sleep(BEAT).await;
        // A machine that was suspended is no thread that stands still.
        let silent = pulse.silent_for(clock.awake());
        let silent_ms = silent.as_millis() as u64;
        if silent >= limits.end {
            tracing::error!(
                event = "watchdog.ends",
                silent_ms,
                "the trading thread stands still"
            );
            std::process::exit(STALLED);
        }
        if silent >= limits.report && !reported {
            tracing::error!(
                event = "watchdog.stalled",
                silent_ms,
                "the trading thread is late"
            );
        }
        if silent < limits.report && reported {
            tracing::info!(
                event = "watchdog.recovered",
                "the trading thread runs again"
            );
        }
        reported = silent >= limits.report;
    }
}
