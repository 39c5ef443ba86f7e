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
    /// When a 401 last made somebody measure, in milliseconds since the start of this process.
    doubted_ms: Arc<AtomicI64>,
}

/// One 401 in so long makes somebody measure: the clock is one for all accounts of a network.
const DOUBT_PAUSE_MS: i64 = 2000;

impl ExchangeClock {
    /// Trusts the machine's clock until a measurement is made.
    pub fn new(clock: Clock) -> Self {
        let base = clock.utc().timestamp_millis() - clock.mono().as_millis() as i64;
        Self {
            clock,
            base_ms: Arc::new(AtomicI64::new(base)),
            doubted_ms: Arc::new(AtomicI64::new(-DOUBT_PAUSE_MS)),
        }
    }

    /// Takes a measurement: the exchange said `theirs` to a request made at `asked` and answered at
    /// `answered`, half of which is taken as its way. What is known already stays, as long as the
    /// measurement does not contradict it: a slow answer must not undo a quick one.
    pub fn measured(&self, theirs: DateTime<Utc>, asked: Duration, answered: Duration) {
        let ms = |at: Duration| theirs.timestamp_millis() - at.as_millis() as i64;
        let known = self.base_ms.load(Ordering::Relaxed);
        if (ms(answered)..=ms(asked)).contains(&known) {
            return;
        }
        let middle = (asked + answered) / 2;
        let base = theirs.timestamp_millis() - middle.as_millis() as i64;
        self.base_ms.store(base, Ordering::Relaxed);
    }

    /// Whether whoever met a 401 now should measure: not if somebody has just done so.
    pub fn is_to_be_measured(&self) -> bool {
        let now = self.clock.mono().as_millis() as i64;
        let last = self.doubted_ms.load(Ordering::Relaxed);
        now >= last + DOUBT_PAUSE_MS
            && self
                .doubted_ms
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
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
    fn a_slow_answer_does_not_undo_a_quick_one() {
        let clock = ExchangeClock::new(Clock::start());
        let (at, theirs) = (
            Duration::from_millis,
            "2026-01-01T00:00:10Z".parse().unwrap(),
        );
        clock.measured(theirs, at(1000), at(1010));
        let known = clock.base_ms.load(Ordering::Relaxed);
        clock.measured(theirs, at(0), at(4000));
        assert_eq!(clock.base_ms.load(Ordering::Relaxed), known);
        clock.measured(theirs, at(2000), at(2010));
        assert_ne!(clock.base_ms.load(Ordering::Relaxed), known, "contradicted");
    }

    #[test]
    fn of_many_401s_one_measures() {
        let clock = ExchangeClock::new(Clock::start());
        let measuring = (0..100).filter(|_| clock.clone().is_to_be_measured());
        assert_eq!(measuring.count(), 1);
    }

    #[test]
    fn a_time_that_makes_no_sense_is_a_time_all_the_same() {
        let clock = ExchangeClock::new(Clock::start());
        assert_eq!(clock.to_mono(i64::MIN), Duration::ZERO);
        assert!(clock.to_mono(i64::MAX) <= clock.local().mono());
    }
}
