//! What needs no key.

use super::Rest;
use super::call::Call;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, Ticker};
use crate::exchange::wire;

impl Rest {
    /// Measures the exchange's clock.
    ///
    /// # Errors
    /// As every call: see [`ExchangeError`].
    pub async fn measure_clock(&self) -> Result<(), ExchangeError> {
        let asked = self.clock.local().mono();
        let time: wire::Time = self.send(&Call::get("/time", ""), None).await?;
        self.clock
            .measured(time.time, asked, self.clock.local().mono());
        Ok(())
    }

    /// The last price. Public.
    ///
    /// # Errors
    /// As every call.
    pub async fn ticker(&self) -> Result<Ticker, ExchangeError> {
        let ticker = self.send(&Call::get("/futures/ticker", ""), None).await?;
        parse::ticker(&ticker).map_err(unreadable(Effect::Reads))
    }
}
