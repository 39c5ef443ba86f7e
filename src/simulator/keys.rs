//! Keys: an account has the one that it was made with, and may have more, each with a secret, a
//! passphrase and a rate limit of its own.

use std::collections::BTreeMap;

use super::engine::Engine;

/// Which keys are further keys of which accounts.
pub(super) type Owners = BTreeMap<String, String>;

/// A further key of an account.
#[derive(Debug)]
pub(super) struct MoreKey {
    /// The first key of its account.
    pub(super) account: String,
    pub(super) secret: String,
    pub(super) passphrase: String,
    pub(super) revoked: bool,
}

/// A key, whichever of its account's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// The first key of its account.
    pub(super) account: &'a str,
    pub(super) secret: &'a str,
    pub(super) passphrase: &'a str,
    pub(super) revoked: bool,
}

/// Whether a key, if any, is one of the account with this first key.
pub(super) fn is_of(owners: &Owners, key: Option<&str>, account: &str) -> bool {
    key.is_some_and(|key| owners.get(key).map_or(key, String::as_str) == account)
}

impl Engine {
    /// A key, if there is one.
    pub(super) fn key(&self, key: &str) -> Option<Key<'_>> {
        if let Some(more) = self.more_keys.get(key) {
            return Some(Key {
                account: &more.account,
                secret: &more.secret,
                passphrase: &more.passphrase,
                revoked: more.revoked,
            });
        }
        let (account, found) = self.accounts.get_key_value(key)?;
        Some(Key {
            account,
            secret: &found.config.secret,
            passphrase: &found.config.passphrase,
            revoked: found.revoked,
        })
    }

    /// Revokes a key for good; `false` when there is none.
    pub(super) fn revoke(&mut self, key: &str) -> bool {
        let more = self.more_keys.get_mut(key).map(|key| &mut key.revoked);
        let first = self.accounts.get_mut(key).map(|found| &mut found.revoked);
        match more.or(first) {
            Some(revoked) => {
                *revoked = true;
                true
            }
            None => false,
        }
    }
}
