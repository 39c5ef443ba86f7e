//! How many requests one key may make: counted here, so that the exchange need not refuse one.
//!
//! Spent by danger: while a request of a guard waits for its place, nothing lesser takes it; and
//! reads leave a part of each window to commands at all times.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::window::Window;
use crate::clock::Clock;
use crate::domain::rules::RuleKind;
use crate::meter::Counter;

pub use keys::KeyRates;

/// What was spent and what had to wait, of one budget or of many alike.
#[derive(Debug, Default)]
pub struct RateCounts {
    requests: [Counter; CLASSES],
    waits: [Counter; CLASSES],
}

impl RateCounts {
    /// Requests that left, and requests that found no room, for each kind of spending.
    pub fn read(&self) -> [(Spend, u64, u64); CLASSES] {
        Spend::ALL.map(|spend| {
            let index = spend as usize;
            (spend, self.requests[index].read(), self.waits[index].read())
        })
    }
}

/// What a request is for; the greatest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spend {
    /// Reading what nobody waits for.
    Read,
    /// An entry.
    Entry,
    /// Take-profit and stop-loss.
    Stops,
    /// Closing, reducing and adding margin in danger.
    Guard,
}

impl Spend {
    /// All kinds, the least first.
    pub const ALL: [Self; CLASSES] = [Self::Read, Self::Entry, Self::Stops, Self::Guard];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Entry => "entry",
            Self::Stops => "stops",
            Self::Guard => "guard",
        }
    }
}

impl From<RuleKind> for Spend {
    fn from(kind: RuleKind) -> Self {
        match kind {
            RuleKind::MarginGuard => Self::Guard,
            RuleKind::TpSl => Self::Stops,
            RuleKind::AutoEntry => Self::Entry,
        }
    }
}

/// Requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At most so many.
    pub requests: usize,
    /// Of which reads leave so many to commands.
    pub kept_for_commands: usize,
    /// The window.
    pub window: Duration,
}

impl RateLimit {
    /// Authenticated requests: 5 a second for each key.
    pub fn per_key() -> Self {
        Self {
            requests: 5,
            kept_for_commands: 3,
            window: Duration::from_secs(1),
        }
    }

    /// Public requests: 1 a second for each address.
    pub fn public() -> Self {
        Self {
            requests: 1,
            kept_for_commands: 0,
            window: Duration::from_secs(1),
        }
    }
}

/// The requests of one key (or, for public ones, of one address). Clones share it.
#[derive(Clone, Debug)]
pub struct RateBudget {
    limit: RateLimit,
    clock: Clock,
    spent: Arc<Mutex<Spent>>,
    counts: Arc<RateCounts>,
}

/// Requests that may be made now. Held until they were answered: only then is it known by when the
/// exchange has counted them.
#[must_use = "held until the requests were answered"]
#[derive(Debug)]
pub struct Allowance {
    budget: RateBudget,
    many: usize,
}

impl Drop for Allowance {
    fn drop(&mut self) {
        let now = self.budget.clock.mono();
        self.budget.spent().window.end(self.many, now);
    }
}

impl RateBudget {
    /// A budget of which nothing is spent.
    pub fn new(limit: RateLimit, clock: Clock) -> Self {
        Self::counting(limit, clock, Arc::default())
    }

    /// As [`RateBudget::new`], but what is spent is counted together with others'.
    fn counting(limit: RateLimit, clock: Clock, counts: Arc<RateCounts>) -> Self {
        let spent = Spent {
            window: Window::new(limit.window),
            claims: [Duration::ZERO; CLASSES],
            silent_until: Duration::ZERO,
        };
        Self {
            limit,
            clock,
            spent: Arc::new(Mutex::new(spent)),
            counts,
        }
    }

    /// What was spent, and what had to wait.
    pub fn counts(&self) -> &RateCounts {
        &self.counts
    }

    /// Requests that are free now: none while the exchange wants silence.
    pub fn left(&self, now: Duration) -> usize {
        let mut spent = self.spent();
        if now < spent.silent_until {
            return 0;
        }
        spent.window.left(self.limit.requests, now)
    }

    /// Spends one request now, or says when to ask again.
    ///
    /// # Errors
    /// The time at which one may be free, on the clock of `now`.
    pub fn spend(&self, spend: Spend, now: Duration) -> Result<Allowance, Duration> {
        self.spend_many(1, spend, now)
    }

    /// Spends several requests now, all or none.
    ///
    /// # Errors
    /// As [`RateBudget::spend`].
    pub fn spend_many(
        &self,
        many: usize,
        spend: Spend,
        now: Duration,
    ) -> Result<Allowance, Duration> {
        let taken = self.spent().take(many, spend, &self.limit, now);
        let class = spend as usize;
        match taken {
            Ok(()) => self.counts.requests[class].add(many as u64),
            Err(_) => self.counts.waits[class].one(),
        }
        taken?;
        Ok(Allowance {
            budget: self.clone(),
            many,
        })
    }

    /// Obeys a 429: nothing is sent before `until`. Returns whether that is later than what was
    /// known.
    pub fn silence(&self, until: Duration) -> bool {
        let mut spent = self.spent();
        let later = until > spent.silent_until;
        spent.silent_until = spent.silent_until.max(until);
        later
    }

    fn spent(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds of [`Spend`].
const CLASSES: usize = 4;
/// Who was told a time comes back so much later at most: until then its place is not given to a
/// lesser one.
const GRACE: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Spent {
    window: Window,
    /// Until when each class waits for a place.
    claims: [Duration; CLASSES],
    /// The exchange asked for silence until then.
    silent_until: Duration,
}

impl Spent {
    fn take(
        &mut self,
        many: usize,
        spend: Spend,
        limit: &RateLimit,
        now: Duration,
    ) -> Result<(), Duration> {
        if now < self.silent_until {
            return Err(self.silent_until);
        }
        let greater = &self.claims[spend as usize + 1..];
        let claimed = greater.iter().max().copied().unwrap_or_default();
        if claimed > now {
            return Err(claimed);
        }
        let most = match spend {
            Spend::Read => limit.requests.saturating_sub(limit.kept_for_commands),
            Spend::Entry | Spend::Stops | Spend::Guard => limit.requests,
        };
        let soonest = self.window.soonest(many, most, now);
        if soonest > now {
            self.claims[spend as usize] = soonest + GRACE;
            return Err(soonest);
        }
        self.window.begin(many);
        Ok(())
    }
}
