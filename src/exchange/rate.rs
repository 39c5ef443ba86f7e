//! How many requests one key may make: counted here, so that the exchange need not refuse one.
//!
//! Commands come before reads: reads leave a part of each window to them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Changes something at the exchange.
    Command,
    /// Reads.
    Read,
}

/// Requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At most so many.
    pub requests: usize,
    /// Of which reads leave so many to commands.
    pub kept_for_commands: usize,
    /// The window. A little over the exchange's own, as requests do not travel at one speed.
    pub window: Duration,
}

impl RateLimit {
    /// Authenticated requests: 5 a second for each key.
    pub fn per_key() -> Self {
        Self {
            requests: 5,
            kept_for_commands: 3,
            window: Duration::from_millis(1100),
        }
    }

    /// Public requests: 1 a second for each address.
    pub fn public() -> Self {
        Self {
            requests: 1,
            kept_for_commands: 0,
            window: Duration::from_millis(1100),
        }
    }
}

/// The requests of one key (or, for public ones, of one address). Clones share it.
#[derive(Clone, Debug)]
pub struct RateBudget {
    limit: RateLimit,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    /// When each request of the last window was made.
    at: VecDeque<Duration>,
    /// The exchange asked for silence until then.
    silent_until: Duration,
}

impl RateBudget {
    /// A budget of which nothing is spent.
    pub fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            spent: Arc::default(),
        }
    }

    /// Spends one request now, or says when to ask again.
    ///
    /// # Errors
    /// The time at which one is free, on the clock of `now`.
    pub fn spend(&self, spend: Spend, now: Duration) -> Result<(), Duration> {
        self.spend_many(1, spend, now)
    }

    /// Spends several requests now, all or none.
    ///
    /// # Errors
    /// As [`RateBudget::spend`].
    pub fn spend_many(&self, many: usize, spend: Spend, now: Duration) -> Result<(), Duration> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if now < spent.silent_until {
            return Err(spent.silent_until);
        }
        while spent
            .at
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= self.limit.window)
        {
            spent.at.pop_front();
        }
        let most = match spend {
            Spend::Command => self.limit.requests,
            Spend::Read => self
                .limit
                .requests
                .saturating_sub(self.limit.kept_for_commands),
        };
        let over = (spent.at.len() + many).saturating_sub(most.max(many));
        match over.checked_sub(1).and_then(|last| spent.at.get(last)) {
            Some(at) => Err(*at + self.limit.window),
            None => {
                spent.at.extend(std::iter::repeat_n(now, many));
                Ok(())
            }
        }
    }

    /// Obeys a 429: nothing is sent before `until`. Returns whether that is later than what was
    /// known.
    pub fn silence(&self, until: Duration) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let later = until > spent.silent_until;
        spent.silent_until = spent.silent_until.max(until);
        later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn reads_leave_room_for_commands_and_nothing_exceeds_the_window() {
        let budget = RateBudget::new(RateLimit::per_key());
        assert_eq!(budget.spend(Spend::Read, at(0)), Ok(()));
        assert_eq!(budget.spend(Spend::Read, at(10)), Ok(()));
        assert_eq!(budget.spend(Spend::Read, at(20)), Err(at(1100)));
        for _ in 0..3 {
            assert_eq!(budget.spend(Spend::Command, at(30)), Ok(()));
        }
        assert_eq!(budget.spend(Spend::Command, at(40)), Err(at(1100)));
        assert_eq!(budget.spend(Spend::Command, at(1100)), Ok(()));
        assert_eq!(
            budget.spend(Spend::Read, at(1101)),
            Err(at(1130)),
            "two of five, from behind"
        );
    }

    #[test]
    fn whatever_is_asked_no_window_holds_more_than_its_limit() {
        let limit = RateLimit::per_key();
        let budget = RateBudget::new(limit);
        let made: Vec<u64> = (0..20_000)
            .filter(|ms| {
                let spend = if ms % 3 == 0 {
                    Spend::Read
                } else {
                    Spend::Command
                };
                budget.spend(spend, at(*ms)).is_ok()
            })
            .collect();
        assert!(made.len() > 80);
        for window in made.windows(limit.requests + 1) {
            assert!(window[limit.requests] - window[0] >= 1100);
        }
    }

    #[test]
    fn several_are_spent_together_or_not_at_all() {
        let budget = RateBudget::new(RateLimit::per_key());
        assert_eq!(budget.spend_many(3, Spend::Command, at(0)), Ok(()));
        assert_eq!(budget.spend_many(3, Spend::Command, at(5)), Err(at(1100)));
        assert_eq!(budget.spend_many(2, Spend::Command, at(5)), Ok(()));
    }

    #[test]
    fn a_429_silences_everybody() {
        let budget = RateBudget::new(RateLimit::per_key());
        assert!(budget.silence(at(2000)));
        assert!(!budget.silence(at(1000)));
        assert_eq!(budget.spend(Spend::Command, at(1999)), Err(at(2000)));
        assert_eq!(budget.spend(Spend::Command, at(2000)), Ok(()));
    }
}
