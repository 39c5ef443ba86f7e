//! The one place that reads the machine's clocks and its randomness. Everything else is given them.
#![allow(clippy::disallowed_methods)] // this is where they are allowed

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Two readings of the machine's clocks that lie further apart than this are made again: a thread
/// that was set aside between them must not look like a suspended machine.
const READ_WITHIN: Duration = Duration::from_micros(100);
/// Readings made for one look at most; then what is known stays.
const MOST_READINGS: usize = 3;

/// How long the machine has been suspended since it was started, in microseconds. It only grows, so
/// that [`Clock::mono`] is never set back.
static ASLEEP_US: AtomicU64 = AtomicU64::new(0);
/// What a test has added to it.
#[cfg(feature = "failpoints")]
static PRETENDED_US: AtomicU64 = AtomicU64::new(0);

/// The machine's clocks, counted from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    asleep_before: Duration,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            asleep_before: asleep(),
        }
    }

    /// Time since the start of the process: monotonic, never set back. It counts the time for which
    /// the machine was suspended: a price that was confirmed before that is old.
    pub fn mono(&self) -> Duration {
        self.awake() + asleep().saturating_sub(self.asleep_before)
    }

    /// Time since the start of the process for which the machine ran. Whoever waits for work to be
    /// done counts by it: nobody works while the machine is suspended.
    pub fn awake(&self) -> Duration {
        self.started.elapsed()
    }

    /// The wall clock, UTC.
    pub fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// A point of monotonic time for timers.
    pub fn instant(&self, mono: Duration) -> Instant {
        let asleep = asleep().saturating_sub(self.asleep_before);
        self.started + mono.saturating_sub(asleep)
    }

    /// A random number in 0 to 1, for jitter.
    pub fn roll(&self) -> f64 {
        rand::thread_rng().r#gen()
    }
}

/// How long the machine has been suspended since it was started.
fn asleep() -> Duration {
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        )
    };
    for _ in 0..MOST_READINGS {
        let awake = read(ClockId::Monotonic);
        let all = read(ClockId::Boottime);
        if read(ClockId::Monotonic) <= awake + READ_WITHIN {
            let asleep = all.saturating_sub(awake).as_micros() as u64;
            // Written seldom: every tick of every thread reads it.
            if asleep > ASLEEP_US.load(Ordering::Relaxed) {
                ASLEEP_US.fetch_max(asleep, Ordering::Relaxed);
            }
            break;
        }
    }
    let asleep_us = ASLEEP_US.load(Ordering::Relaxed);
    #[cfg(feature = "failpoints")]
    let asleep_us = asleep_us + PRETENDED_US.load(Ordering::Relaxed);
    Duration::from_micros(asleep_us)
}

/// Lets all clocks of this process believe that the machine was suspended for so long.
#[cfg(feature = "failpoints")]
pub fn pretend_suspended(length: Duration) {
    PRETENDED_US.fetch_add(length.as_micros() as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_never_set_back_and_runs_at_the_speed_of_the_machines() {
        let clock = Clock::start();
        let (started, mut last) = (clock.awake(), clock.mono());
        for _ in 0..200_000 {
            let now = clock.mono();
            assert!(now >= last);
            last = now;
        }
        // The second is read after the first, and a machine that was never suspended adds nothing.
        let slept = clock.mono().saturating_sub(clock.awake());
        let ran = clock.awake() - started;
        assert!(slept < Duration::from_millis(5), "{slept:?} of {ran:?}");
    }
}
