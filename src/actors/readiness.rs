//! Whether every account that should be served has been read since the start.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::shared::{Account, Shared};
use crate::domain::connection::Health;
use crate::domain::ids::AccountId;

/// The accounts that should be served, as the store said last; written by the supervisor.
#[derive(Debug, Default)]
pub struct Expected(Mutex<Accounts>);

#[derive(Debug, Default)]
struct Accounts {
    /// `None` before the first answer of the store.
    stored: Option<HashSet<AccountId>>,
    /// Those that cannot be served: their network is not configured, their credentials cannot be read.
    unusable: HashSet<AccountId>,
    /// Rows of accounts and automations that cannot be read, and rules that cannot be obeyed.
    rows: usize,
}

impl Expected {
    /// These should be served, all of them.
    pub fn set(&self, ids: impl IntoIterator<Item = AccountId>) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored: HashSet<_> = ids.into_iter().collect();
        accounts.unusable.retain(|id| stored.contains(id));
        accounts.stored = Some(stored);
    }

    /// So many stored rows cannot be used at all.
    pub fn rows(&self, unusable: usize) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.rows = unusable;
    }

    /// This one cannot be.
    pub fn cannot(&self, id: AccountId) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.unusable.insert(id);
    }
}

/// How far the accounts have come, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the store has been read since the start.
    pub store_read: bool,
    /// Accounts that should be served.
    pub accounts: usize,
    /// Of those, the ones that have not been read since the start and may yet be.
    pub waiting: usize,
    /// Read, and followed live.
    pub live: usize,
    /// Refused for their credentials.
    pub unauthorized: usize,
    /// Refused for the region.
    pub blocked: usize,
    /// Set aside, after too many deaths.
    pub quarantined: usize,
    /// Those that cannot be served: their network is not configured, or their credentials cannot be
    /// read.
    pub unusable: usize,
    /// Rows of accounts and automations that cannot be read, and rules that cannot be obeyed.
    pub unusable_rows: usize,
}

impl Readiness {
    /// Looks at all accounts.
    pub fn of(shared: &Shared) -> Self {
        let served = shared.accounts.load();
        let expected = shared.expected.0.lock();
        let expected = expected.unwrap_or_else(PoisonError::into_inner);
        let mut found = Self {
            store_read: expected.stored.is_some(),
            unusable_rows: expected.rows,
            ..Self::default()
        };
        for id in expected.stored.iter().flatten() {
            found.accounts += 1;
            match served.get(id) {
                Some(account) => found.count(account),
                None if expected.unusable.contains(id) => found.unusable += 1,
                None => found.waiting += 1,
            }
        }
        found
    }

    fn count(&mut self, account: &Account) {
        let view = account.view.load();
        match view.health {
            // They may stay so for ever, and only a person can help: nobody waits for them.
            Health::Unauthorized => self.unauthorized += 1,
            Health::Blocked => self.blocked += 1,
            Health::Quarantined => self.quarantined += 1,
            _ if view.read_at.is_none() => self.waiting += 1,
            Health::Live => self.live += 1,
            _ => {}
        }
    }

    /// Whether nobody needs to be waited for.
    pub fn is_complete(&self) -> bool {
        self.store_read && self.waiting == 0
    }
}

impl std::fmt::Display for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.store_read {
            return f.write_str("the accounts are not known yet");
        }
        write!(f, "{} accounts, {} live", self.accounts, self.live)?;
        let rest = [
            (self.waiting, "not read yet"),
            (self.unauthorized, "unauthorized"),
            (self.blocked, "blocked"),
            (self.quarantined, "quarantined"),
            (self.unusable, "unusable"),
            (self.unusable_rows, "rows unusable"),
        ];
        rest.into_iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_complete_before_the_store_was_read_and_whoever_can_be_read_was() {
        let complete = Readiness {
            store_read: true,
            accounts: 3,
            live: 1,
            unauthorized: 1,
            quarantined: 1,
            ..Readiness::default()
        };
        assert!(
            complete.is_complete(),
            "some can only be helped by a person"
        );
        assert_eq!(
            complete.to_string(),
            "3 accounts, 1 live, 1 unauthorized, 1 quarantined"
        );
        let waiting = Readiness {
            waiting: 1,
            ..complete
        };
        assert!(!waiting.is_complete());
        assert!(
            !Readiness::default().is_complete(),
            "of no accounts nothing is known"
        );
    }
}
