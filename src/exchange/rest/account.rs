//! The account itself.

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, AccountReading};

impl Rest {
    /// The account's balance.
    ///
    /// # Errors
    /// As every call.
    pub async fn account(&self, who: &Credentials) -> Result<AccountReading, ExchangeError> {
        let account = self.signed(&Call::get("/account", ""), who, None).await?;
        parse::account(&account).map_err(unreadable(Effect::Reads))
    }
}
