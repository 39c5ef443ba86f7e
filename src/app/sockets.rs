//! The budgets of sockets, as the processes before this one have left them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::config::Settings;
use crate::exchange::{Attempt, SocketBudget, SocketLimits};
use crate::store::{SocketAttempt, Store};

/// An attempt is written down before it is made; at the exchange it arrives so much later at most,
/// unless its process had ended by then: to connect, to ask the time and to log in.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(15);

/// One budget for each host: networks may share one.
pub(super) struct Budgets {
    limits: SocketLimits,
    egress: Vec<IpAddr>,
    clock: Clock,
    attempts: Vec<SocketAttempt>,
    by_host: HashMap<String, SocketBudget>,
}

impl Budgets {
    /// Reads what was attempted in the last hour.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(super) async fn new(settings: &Settings, store: &Store, clock: Clock) -> Result<Self> {
        let attempts = store.socket_attempts().await;
        Ok(Self {
            limits: settings.tuning().sockets,
            egress: settings.egress().to_vec(),
            clock,
            attempts: attempts.context("attempts to open sockets")?,
            by_host: HashMap::new(),
        })
    }

    /// The budget of a host.
    pub(super) fn of(&mut self, host: &str) -> SocketBudget {
        if let Some(budget) = self.by_host.get(host) {
            return budget.clone();
        }
        let budget = SocketBudget::new(host, self.limits, &self.egress, self.clock);
        for made in self.attempts.iter().filter(|made| made.host == host) {
            let attempt = Attempt {
                host: host.into(),
                egress: made.egress,
                login: made.login,
            };
            budget.remember(&attempt, ago(made.made_at, self.clock.utc()));
        }
        self.by_host.insert(host.to_owned(), budget.clone());
        budget
    }
}

/// How long ago the exchange counted it, at the least. A clock that was set back since makes it
/// younger, never older.
fn ago(made_at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let since = (now - made_at).to_std().unwrap_or_default();
    since.saturating_sub(LONGEST_ATTEMPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_rather_taken_for_younger_than_it_is() {
        let made_at = DateTime::UNIX_EPOCH + chrono::Duration::seconds(1000);
        let after = |seconds| ago(made_at, made_at + chrono::Duration::seconds(seconds));
        assert_eq!(after(-50), Duration::ZERO, "the clock was set back");
        assert_eq!(after(10), Duration::ZERO, "it may have arrived just now");
        assert_eq!(after(75), Duration::from_secs(60));
    }
}
