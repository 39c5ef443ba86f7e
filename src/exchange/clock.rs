//! The exchange's time: its offset is measured, kept against the monotonic clock, and applied to
//! signatures, so that a wrong clock of this machine costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::Clock;

/// The exchange's clock as known here. All clones share one offset.
#[derive(Clone, Debug)]
pub struct ExchangeClock {
    clock: Clock,
    /// Exchange time in milliseconds at the start of this process.
    base_ms: Arc<AtomicI64>,
}

impl ExchangeClock {
    /// Trusts the machine's clock until a measurement is made.
    pub fn new(clock: Clock) -> Self {
        let base = clock.utc().timestamp_millis() - clock.mono().as_millis() as i64;
        Self {
            clock,
            base_ms: Arc::new(AtomicI64::new(base)),
        }
    }

    /// Takes a measurement: the exchange said `theirs` to a request made at `asked` and answered at
    /// `answered`, half of which is taken as its way.
    pub fn measured(&self, theirs: DateTime<Utc>, asked: Duration, answered: Duration) {
        let middle = (asked + answered) / 2;
        let base = theirs.timestamp_millis() - middle.as_millis() as i64;
        self.base_ms.store(base, Ordering::Relaxed);
    }

    /// The exchange's time now.
    pub fn now(&self) -> DateTime<Utc> {
        let now = self.base_ms.load(Ordering::Relaxed) + self.clock.mono().as_millis() as i64;
        DateTime::from_timestamp_millis(now).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// How far it is ahead of this machine's clock, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.now().timestamp_millis() - self.clock.utc().timestamp_millis()
    }

    /// A time of the exchange on our monotonic clock; never later than now.
    pub fn to_mono(&self, theirs_ms: i64) -> Duration {
        let since = theirs_ms.saturating_sub(self.base_ms.load(Ordering::Relaxed));
        Duration::from_millis(since.max(0) as u64).min(self.clock.mono())
    }

    /// This machine's clock.
    pub fn local(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_makes_no_sense_is_a_time_all_the_same() {
        let clock = ExchangeClock::new(Clock::start());
        assert_eq!(clock.to_mono(i64::MIN), Duration::ZERO);
        assert!(clock.to_mono(i64::MAX) <= clock.local().mono());
    }
}
