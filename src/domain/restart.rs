//! When an actor that died comes back: a pure function of its past deaths, the time, and one
//! random number.

use std::collections::VecDeque;
use std::time::Duration;

use super::backoff::Curve;

/// What kind of child it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// Serves one account: set aside when it dies too often.
    Replaceable,
    /// Serves everybody: always brought back, within a second.
    Essential,
}

/// The numbers of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Delays between restarts.
    pub curve: Curve,
    /// Delays of an essential child.
    pub essential: Curve,
    /// Health for so long resets the curve.
    pub reset_after: Duration,
    /// More deaths than this within `window` are too many.
    pub most_deaths: usize,
    /// See `most_deaths`.
    pub window: Duration,
    /// How often a quarantined child is tried again.
    pub quarantine: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        let first = Duration::from_millis(100);
        Self {
            curve: Curve {
                first,
                most: Duration::from_secs(30),
            },
            essential: Curve {
                first,
                most: Duration::from_secs(1),
            },
            reset_after: Duration::from_secs(60),
            most_deaths: 5,
            window: Duration::from_secs(60),
            quarantine: Duration::from_secs(300),
        }
    }
}

/// What happens after a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Started again after `delay`; `attempt` counts from 1 since the last healthy stretch.
    Restart {
        /// How often it has died since it was last healthy.
        attempt: u32,
        /// How long to wait.
        delay: Duration,
    },
    /// Died too often: reported unhealthy and tried again after `retry`.
    Quarantine {
        /// How long to wait.
        retry: Duration,
    },
}

/// A child's past deaths, oldest first; times are since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    recent: VecDeque<Duration>,
    attempt: u32,
}

impl Deaths {
    /// Notes a death at `now` of a child that had started at `started`, and says what follows.
    pub fn note(
        &mut self,
        started: Duration,
        now: Duration,
        tenure: Tenure,
        policy: &RestartPolicy,
        roll: f64,
    ) -> Verdict {
        if now.saturating_sub(started) >= policy.reset_after {
            self.attempt = 0;
        }
        self.attempt = self.attempt.saturating_add(1);
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|death| now.saturating_sub(*death) > policy.window)
        {
            self.recent.pop_front();
        }
        let restart = |curve: Curve| Verdict::Restart {
            attempt: self.attempt,
            delay: curve.delay(self.attempt - 1, roll),
        };
        match tenure {
            Tenure::Essential => restart(policy.essential),
            Tenure::Replaceable if self.recent.len() > policy.most_deaths => Verdict::Quarantine {
                retry: policy.quarantine,
            },
            Tenure::Replaceable => restart(policy.curve),
        }
    }

    /// How many deaths are remembered since the child was last healthy.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(tenure: Tenure, lives: &[(f64, f64)]) -> Vec<Verdict> {
        let mut deaths = Deaths::default();
        let policy = RestartPolicy::default();
        let at = Duration::from_secs_f64;
        lives
            .iter()
            .map(|(started, died)| deaths.note(at(*started), at(*died), tenure, &policy, 1.0))
            .collect()
    }

    fn restart(attempt: u32, delay_ms: u64) -> Verdict {
        Verdict::Restart {
            attempt,
            delay: Duration::from_millis(delay_ms),
        }
    }

    const QUARANTINE: Verdict = Verdict::Quarantine {
        retry: Duration::from_secs(300),
    };

    /// What it shows, who dies, when it started and died, what follows.
    type Case<'a> = (&'a str, Tenure, &'a [(f64, f64)], &'a [Verdict]);

    #[test]
    fn the_policy_table() {
        let table: [Case; 6] = [
            (
                "first death",
                Tenure::Replaceable,
                &[(0.0, 1.0)],
                &[restart(1, 100)],
            ),
            (
                "delays double",
                Tenure::Replaceable,
                &[(0.0, 1.0), (1.1, 2.0), (2.2, 3.0)],
                &[restart(1, 100), restart(2, 200), restart(3, 400)],
            ),
            (
                "sixth death within a minute",
                Tenure::Replaceable,
                &[
                    (0.0, 1.0),
                    (1.0, 2.0),
                    (2.0, 3.0),
                    (3.0, 4.0),
                    (4.0, 5.0),
                    (5.0, 6.0),
                ],
                &[
                    restart(1, 100),
                    restart(2, 200),
                    restart(3, 400),
                    restart(4, 800),
                    restart(5, 1600),
                    QUARANTINE,
                ],
            ),
            (
                "a quarantined child that dies at once stays set aside only if deaths are recent",
                Tenure::Replaceable,
                &[
                    (0.0, 1.0),
                    (1.0, 2.0),
                    (2.0, 3.0),
                    (3.0, 4.0),
                    (4.0, 5.0),
                    (5.0, 6.0),
                    (306.0, 306.1),
                ],
                &[
                    restart(1, 100),
                    restart(2, 200),
                    restart(3, 400),
                    restart(4, 800),
                    restart(5, 1600),
                    QUARANTINE,
                    restart(7, 6400),
                ],
            ),
            (
                "a minute of health resets the curve",
                Tenure::Replaceable,
                &[(0.0, 1.0), (1.1, 2.0), (2.2, 62.2)],
                &[restart(1, 100), restart(2, 200), restart(1, 100)],
            ),
            (
                "an essential child is never set aside and waits at most a second",
                Tenure::Essential,
                &[
                    (0.0, 1.0),
                    (1.0, 2.0),
                    (2.0, 3.0),
                    (3.0, 4.0),
                    (4.0, 5.0),
                    (5.0, 6.0),
                    (6.0, 7.0),
                ],
                &[
                    restart(1, 100),
                    restart(2, 200),
                    restart(3, 400),
                    restart(4, 800),
                    restart(5, 1000),
                    restart(6, 1000),
                    restart(7, 1000),
                ],
            ),
        ];
        for (what, tenure, lives, expected) in table {
            assert_eq!(verdicts(tenure, lives), expected, "{what}");
        }
    }

    #[test]
    fn jitter_is_full() {
        let mut deaths = Deaths::default();
        let policy = RestartPolicy::default();
        let second = Duration::from_secs(1);
        let verdict = deaths.note(Duration::ZERO, second, Tenure::Replaceable, &policy, 0.25);
        assert_eq!(verdict, restart(1, 25));
    }
}
