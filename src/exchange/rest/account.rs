//! The account itself.

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, AccountReading};
use crate::exchange::text::tidy;
use crate::exchange::wire;

impl Rest {
    /// The account's balance.
    ///
    /// # Errors
    /// As every call.
    pub async fn account(&self, who: &Credentials) -> Result<AccountReading, ExchangeError> {
        let account = self.signed(&Call::get("/account", ""), who, None).await?;
        parse::account(&account).map_err(unreadable(Effect::Reads))
    }

    /// Whose account a key opens: the exchange's own id of it, where it tells one.
    ///
    /// # Errors
    /// As every call.
    pub async fn holder(&self, who: &Credentials) -> Result<Option<String>, ExchangeError> {
        let holder: wire::Holder = self.signed(&Call::get("/account", ""), who, None).await?;
        Ok(holder.id.map(|id| tidy(&id)))
    }
}
