//! The budgets of all keys of a network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret;

use super::{RateBudget, RateCounts, RateLimit};
use crate::clock::Clock;
use crate::domain::credentials::Credentials;

/// One budget for each key, whoever uses it and however often it comes and goes: two accounts may
/// be given the same key, and one that is enabled again has spent what it spent before.
#[derive(Debug)]
pub struct KeyRates {
    limit: RateLimit,
    clock: Clock,
    silent_until: Duration,
    counts: Arc<RateCounts>,
    /// By a digest: keys are not kept beside the credentials that hold them.
    budgets: Mutex<HashMap<[u8; 32], RateBudget>>,
}

impl KeyRates {
    /// No key spends anything before `silent_until`: an earlier process may have spent all of it.
    pub fn new(limit: RateLimit, clock: Clock, silent_until: Duration) -> Self {
        Self {
            limit,
            clock,
            silent_until,
            counts: Arc::default(),
            budgets: Mutex::default(),
        }
    }

    /// The budget of a key.
    pub fn of(&self, who: &Credentials) -> RateBudget {
        let mut key = [0; 32];
        let digest = digest(&SHA256, who.key.expose_secret().as_bytes());
        key.copy_from_slice(digest.as_ref());
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let budget = RateBudget::counting(self.limit, self.clock, Arc::clone(&self.counts));
            budget.silence(self.silent_until);
            budget
        };
        budgets.entry(key).or_insert_with(new).clone()
    }

    /// What all keys have spent, and what had to wait.
    pub fn counts(&self) -> &RateCounts {
        &self.counts
    }

    /// Requests that are free now, of all keys together, and how many keys there are. No key's
    /// budget is held longer than it takes to look at that one.
    pub fn left(&self, now: Duration) -> (usize, usize) {
        let budgets: Vec<RateBudget> = {
            let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
            budgets.values().cloned().collect()
        };
        let left = budgets.iter().map(|budget| budget.left(now)).sum();
        (left, budgets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Spend;

    #[test]
    fn a_key_has_one_budget_whoever_uses_it() {
        let clock = Clock::start();
        let rates = KeyRates::new(RateLimit::per_key(), clock, Duration::ZERO);
        let spend = |key: &str, secret: &str| {
            let who = Credentials::new(key, secret, "phrase");
            let budget = rates.of(&who);
            budget.spend_many(3, Spend::Guard, clock.mono()).is_ok()
        };
        assert!(spend("one", "secret"));
        assert!(!spend("one", "another"));
        assert!(spend("two", "secret"));
    }
}
