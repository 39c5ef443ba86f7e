//! What needs no key.

use super::Rest;
use super::call::Call;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, Ticker};

impl Rest {
    /// The last price. Public.
    ///
    /// # Errors
    /// As every call.
    pub async fn ticker(&self) -> Result<Ticker, ExchangeError> {
        let ticker = self.send(&Call::get("/futures/ticker", ""), None).await?;
        parse::ticker(&ticker).map_err(unreadable(Effect::Reads))
    }
}
