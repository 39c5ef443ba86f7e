//! How many sockets one address may hold and open: the exchange closes what is beyond, and locks
//! out who insists.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The exchange's limits for one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// Sockets open at once.
    pub open: usize,
    /// New sockets per hour.
    pub new_per_hour: usize,
    /// Authentications per minute.
    pub logins_per_minute: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            open: 32,
            new_per_hour: 500,
            logins_per_minute: 20,
        }
    }
}

/// Sockets that log in leave so many places to those that do not: the price feed serves everybody,
/// and must not lose its place to an account's.
const KEPT_FOR_PRICES: usize = 1;
/// Of the new sockets of an hour, the share (one in so many) that is left to those that do not log
/// in.
const NEW_KEPT_FOR_PRICES: usize = 10;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The sockets of one address. Clones share it.
#[derive(Clone, Debug)]
pub struct SocketBudget {
    limits: SocketLimits,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    open: usize,
    opened: VecDeque<Duration>,
    logins: VecDeque<Duration>,
}

/// One open socket; gives its place back when dropped.
#[derive(Debug)]
pub struct SocketPermit(Arc<Mutex<Used>>);

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
    }
}

impl SocketBudget {
    /// A budget of which nothing is used.
    pub fn new(limits: SocketLimits) -> Self {
        Self {
            limits,
            used: Arc::default(),
        }
    }

    /// Takes a place for a socket that is opened now, and if `login` says so, for its
    /// authentication.
    ///
    /// # Errors
    /// When to ask again, on the clock of `now`.
    pub fn open(&self, login: bool, now: Duration) -> Result<SocketPermit, Duration> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut used.opened, HOUR, now);
        forget(&mut used.logins, MINUTE, now);
        let (mut most_open, mut most_new) = (self.limits.open, self.limits.new_per_hour);
        if login {
            most_open = most_open.saturating_sub(KEPT_FOR_PRICES).max(1);
            most_new = (most_new - most_new / NEW_KEPT_FOR_PRICES).max(1);
        }
        if used.open >= most_open {
            return Err(now + MINUTE);
        }
        if let Some(free) = full(&used.opened, most_new, HOUR) {
            return Err(free);
        }
        if login {
            if let Some(free) = full(&used.logins, self.limits.logins_per_minute, MINUTE) {
                return Err(free);
            }
            used.logins.push_back(now);
        }
        used.opened.push_back(now);
        used.open += 1;
        Ok(SocketPermit(Arc::clone(&self.used)))
    }
}

fn forget(times: &mut VecDeque<Duration>, window: Duration, now: Duration) {
    while times
        .front()
        .is_some_and(|at| now.saturating_sub(*at) >= window)
    {
        times.pop_front();
    }
}

/// When a place is free again, if none is now.
fn full(times: &VecDeque<Duration>, most: usize, window: Duration) -> Option<Duration> {
    times
        .len()
        .checked_sub(most)
        .and_then(|over| times.get(over))
        .map(|at| *at + window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn places_are_given_back_attempts_are_not() {
        let limits = SocketLimits {
            open: 3,
            new_per_hour: 3,
            logins_per_minute: 20,
        };
        let budget = SocketBudget::new(limits);
        let first = budget.open(true, at(0)).unwrap();
        let second = budget.open(true, at(1)).unwrap();
        assert_eq!(budget.open(true, at(2)).unwrap_err(), at(62));
        drop(first);
        let third = budget.open(true, at(3)).unwrap();
        drop((second, third));
        assert_eq!(budget.open(true, at(4)).unwrap_err(), at(3600));
        assert!(budget.open(true, at(3600)).is_ok());
    }

    #[test]
    fn logins_are_paced_and_public_sockets_need_none() {
        let limits = SocketLimits {
            open: 50,
            new_per_hour: 500,
            logins_per_minute: 2,
        };
        let budget = SocketBudget::new(limits);
        let _sockets: Vec<_> = (0..2).map(|n| budget.open(true, at(n)).unwrap()).collect();
        assert_eq!(budget.open(true, at(2)).unwrap_err(), at(60));
        assert!(budget.open(false, at(2)).is_ok());
    }

    #[test]
    fn accounts_leave_the_price_feed_its_place() {
        let limits = SocketLimits {
            open: 3,
            new_per_hour: 10,
            logins_per_minute: 20,
        };
        let budget = SocketBudget::new(limits);
        let accounts: Vec<_> = (0..2).map(|n| budget.open(true, at(n)).unwrap()).collect();
        assert!(budget.open(true, at(2)).is_err());
        assert!(budget.open(false, at(2)).is_ok());
        drop(accounts);
        // Nine of ten: an account that is refused again and again does not use them up.
        assert_eq!(
            (3..20)
                .filter(|n| budget.open(true, at(*n)).is_ok())
                .count(),
            6
        );
        assert!(budget.open(false, at(20)).is_ok());
    }
}
