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

/// The header `Date` is cut to whole seconds.
const DATE_CUT_MS: i64 = 1000;

impl ExchangeClock {
    /// Trusts the machine's clock until a measurement is made.
    pub fn new(clock: Clock) -> Self {
        let base = clock.utc().timestamp_millis() - ms(clock.mono());
        Self {
            clock,
            base_ms: Arc::new(AtomicI64::new(base)),
        }
    }

    /// Takes a measurement: the exchange said `theirs` to a request made at `asked` and answered at
    /// `answered`, half of which is taken as its way. What is known already stays, as long as the
    /// measurement does not contradict it: a slow answer must not undo a quick one.
    pub fn measured(&self, theirs: DateTime<Utc>, asked: Duration, answered: Duration) {
        let theirs = theirs.timestamp_millis();
        self.lies_between(theirs - ms(answered), theirs - ms(asked));
    }

    /// Takes the `Date` of an answer as a measurement, a coarse one.
    pub fn dated(&self, date: DateTime<Utc>, asked: Duration, answered: Duration) {
        let date = date.timestamp_millis();
        self.lies_between(date - ms(answered), date + DATE_CUT_MS - ms(asked));
    }

    fn lies_between(&self, earliest: i64, latest: i64) {
        let known = self.base_ms.load(Ordering::Relaxed);
        if !(earliest..=latest).contains(&known) {
            let middle = earliest.midpoint(latest);
            self.base_ms.store(middle, Ordering::Relaxed);
        }
    }

    /// The exchange's time now.
    pub fn now(&self) -> DateTime<Utc> {
        let now = self.base_ms.load(Ordering::Relaxed) + ms(self.clock.mono());
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

fn ms(time: Duration) -> i64 {
    time.as_millis() as i64
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
    fn a_date_corrects_a_wrong_clock_and_leaves_a_right_one() {
        let clock = ExchangeClock::new(Clock::start());
        let (at, theirs) = (
            Duration::from_millis,
            "2026-01-01T00:00:10.700Z".parse().unwrap(),
        );
        clock.measured(theirs, at(1000), at(1010));
        let known = clock.base_ms.load(Ordering::Relaxed);
        clock.dated("2026-01-01T00:00:10Z".parse().unwrap(), at(990), at(1020));
        assert_eq!(clock.base_ms.load(Ordering::Relaxed), known, "cut");
        clock.dated("2026-01-01T00:01:10Z".parse().unwrap(), at(990), at(1020));
        let off = clock.base_ms.load(Ordering::Relaxed) - known;
        assert!((off - 60_000).abs() <= 1000, "{off}");
    }

    #[test]
    fn a_time_that_makes_no_sense_is_a_time_all_the_same() {
        let clock = ExchangeClock::new(Clock::start());
        assert_eq!(clock.to_mono(i64::MIN), Duration::ZERO);
        assert!(clock.to_mono(i64::MAX) <= clock.local().mono());
    }
}
