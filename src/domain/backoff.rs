//! The curve of restart and reconnect delays: doubling, capped, full jitter, never giving up. The
//! one module that names the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

/// A doubling curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curve {
    /// The ceiling of the first delay.
    pub first: Duration,
    /// The ceiling of every later one.
    pub most: Duration,
}

/// Doublings after which every curve has reached its cap.
const MOST_DOUBLINGS: u32 = 32;

impl Curve {
    /// The ceiling of the delay before attempt `attempt` (0 is the first).
    pub fn ceiling(self, attempt: u32) -> Duration {
        let mut curve = ExponentialBackoffBuilder::new()
            .with_initial_interval(self.first)
            .with_max_interval(self.most)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let mut ceiling = self.first;
        for _ in 0..=attempt.min(MOST_DOUBLINGS) {
            ceiling = curve.next_backoff().unwrap_or(self.most);
        }
        ceiling.min(self.most)
    }

    /// The delay before attempt `attempt` with full jitter: `roll`, in 0 to 1, of the ceiling.
    pub fn delay(self, attempt: u32, roll: f64) -> Duration {
        self.ceiling(attempt).mul_f64(roll.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_its_cap_and_never_gives_up() {
        let curve = Curve {
            first: Duration::from_millis(100),
            most: Duration::from_secs(30),
        };
        let ceilings: Vec<_> = (0..10).map(|n| curve.ceiling(n).as_millis()).collect();
        assert_eq!(
            ceilings,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]
        );
        assert_eq!(curve.ceiling(u32::MAX), Duration::from_secs(30));
        assert_eq!(curve.delay(2, 0.5), Duration::from_millis(200));
        assert_eq!(curve.delay(2, 0.0), Duration::ZERO);
    }
}
