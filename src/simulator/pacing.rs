//! How fast the tape runs and how often prices are pushed.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// Shortest pause between two ticks: sockets must be able to drain.
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// How late a tick may be for the next one to keep to the schedule: what a timer takes too long.
const CATCH_UP: Duration = Duration::from_millis(5);

/// Tape seconds per wall second. Scales the tape only; protocol time is always wall time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than the tape's own times.
    Times(f64),
    /// Without pauses, except for a millisecond between ticks.
    Max,
}

impl Speed {
    /// How long so much tape time lasts; unknown where the tape has no pace.
    pub(super) fn scale(self, tape: Duration) -> Option<Duration> {
        match self {
            Speed::Times(times) if times > 0.0 => {
                Duration::try_from_secs_f64(tape.as_secs_f64() / times).ok()
            }
            _ => None,
        }
    }

    /// How long a gap of the tape lasts.
    pub(super) fn pause(self, gap: Duration) -> Duration {
        match self {
            Speed::Times(times) if times > 0.0 => {
                Duration::try_from_secs_f64(gap.as_secs_f64() / times)
                    .unwrap_or(Duration::MAX)
                    .max(MIN_PAUSE)
            }
            _ => MIN_PAUSE,
        }
    }
}

/// When the next tick is due, where the last one was due at `last`.
pub(super) fn next_due(last: Instant, now: Instant, pause: Duration) -> Instant {
    let on_time = now.saturating_duration_since(last) <= CATCH_UP;
    let from = if on_time { last } else { now };
    from.checked_add(pause).unwrap_or(now)
}

/// How often prices are pushed to the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// Each tick is pushed, in order.
    EveryTick,
    /// At most so many pushes a second; the newest price wins.
    PerSecond(u32),
}

impl Default for Cadence {
    fn default() -> Self {
        Cadence::PerSecond(10)
    }
}

/// A speed or cadence that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePacingError {
    /// Not a speed.
    #[error("speed `{0}`: expected `max` or a positive number")]
    Speed(String),
    /// Not a cadence.
    #[error(
        "cadence `{0}`: expected `every-tick` or a whole number of pushes per second, 1 or more"
    )]
    Cadence(String),
}

impl FromStr for Speed {
    type Err = ParsePacingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err(ParsePacingError::Speed(text.to_owned())),
        }
    }
}

impl FromStr for Cadence {
    type Err = ParsePacingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "every-tick" {
            return Ok(Cadence::EveryTick);
        }
        match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(Cadence::PerSecond(number)),
            _ => Err(ParsePacingError::Cadence(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("60".parse(), Ok(Speed::Times(60.0)));
        for bad in ["", "0", "-1", "inf", "NaN", "fast"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
        assert_eq!(
            Speed::Times(60.0).pause(Duration::from_secs(15)),
            Duration::from_millis(250)
        );
        assert_eq!(Speed::Times(1e9).pause(Duration::from_secs(15)), MIN_PAUSE);
        assert_eq!(Speed::Max.pause(Duration::from_secs(15)), MIN_PAUSE);
    }

    #[test]
    fn coarse_timers_do_not_add_up() {
        let start = Instant::now();
        let pause = Duration::from_micros(1_389);
        let (mut due, mut now) = (start, start);
        for _ in 0..28_800 {
            due = next_due(due, now, pause);
            now = now.max(due) + Duration::from_millis(1);
        }
        let schedule = pause * 28_800;
        assert!(now - start <= schedule + CATCH_UP, "{:?}", now - start);
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let start = Instant::now();
        let pause = Duration::from_millis(2);
        let after = start + Duration::from_secs(3);
        assert_eq!(next_due(start, after, pause), after + pause);
        let late = start + CATCH_UP;
        assert_eq!(next_due(start, late, pause), start + pause);
        assert_eq!(next_due(start, start, Duration::MAX), start);
    }

    #[test]
    fn cadences() {
        assert_eq!("every-tick".parse(), Ok(Cadence::EveryTick));
        assert_eq!("10".parse(), Ok(Cadence::PerSecond(10)));
        for bad in ["", "0", "-1", "1.5", "often"] {
            assert!(bad.parse::<Cadence>().is_err(), "{bad}");
        }
    }
}
