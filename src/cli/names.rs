//! Accounts' names, for tables: people know names, rows hold ids.

use std::collections::HashMap;

use crate::domain::ids::AccountId;
use crate::store::{Store, StoreError};

/// The names of all accounts.
#[derive(Debug)]
pub struct Names(HashMap<AccountId, String>);

impl Names {
    /// Reads them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let accounts = store.accounts().await?.rows.into_iter();
        Ok(Self(
            accounts.map(|account| (account.id, account.name)).collect(),
        ))
    }

    /// The name of an account, or its id if it has none any more.
    pub fn of(&self, account: &AccountId) -> String {
        let name = self.0.get(account).cloned();
        name.unwrap_or_else(|| account.to_string())
    }
}
