//! The cross account: its position, its margin, its orders. A key may lack the right to it: then
//! every call here ends as `Class::ScopeMissing`.

use chrono::{DateTime, Utc};
use reqwest::Method;

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::domain::position::Side;
use crate::domain::units::{Sats, Usd};
use crate::exchange::answer::{shows, unreadable};
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, CrossOrder, CrossReading, Transfer};
use crate::exchange::wire;

/// A market order of the cross account: it moves the net position by its quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCrossOrder {
    /// Which way it moves the position.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Correlation: comes back with the order. 1 to 64 characters.
    pub client_id: String,
}

impl Rest {
    /// The cross account: margin, leverage, position.
    ///
    /// # Errors
    /// As every call.
    pub async fn cross_position(&self, who: &Credentials) -> Result<CrossReading, ExchangeError> {
        let call = Call::get("/futures/cross/position", "");
        let cross = self.signed(&call, who, None).await?;
        parse::cross(&cross).map_err(unreadable(Effect::Reads))
    }

    /// Sends a market order. Not idempotent: each request has its effect, whatever its client id.
    ///
    /// # Errors
    /// As every call; `Class::Unknown` where it may have been applied.
    pub async fn cross_order(
        &self,
        who: &Credentials,
        order: &NewCrossOrder,
        signed_at: DateTime<Utc>,
    ) -> Result<CrossOrder, ExchangeError> {
        let body = wire::CrossMarketOrder {
            r#type: "market",
            side: wire::side(order.side),
            quantity: order.quantity.0,
            client_id: &order.client_id,
        };
        let unreadable = unreadable(Effect::Repeats);
        let call = Call::post("/futures/cross/order", &body, Effect::Repeats)?;
        let answer: wire::CrossOrder = self.signed(&call, who, Some(signed_at)).await?;
        let ours = answer.client_id.as_deref() == Some(&order.client_id);
        let filled = parse::order(&answer).map_err(&unreadable)?;
        let whole = filled.side == order.side && filled.quantity == order.quantity;
        shows(ours && whole && filled.filled).map_err(&unreadable)?;
        Ok(filled)
    }

    /// Closes the whole position at the market; answers the order that did it. Idempotent as long
    /// as nobody opens a new position meanwhile: whoever repeats it reads the position first.
    ///
    /// # Errors
    /// As every call.
    pub async fn cross_close(
        &self,
        who: &Credentials,
        signed_at: DateTime<Utc>,
    ) -> Result<CrossOrder, ExchangeError> {
        let unreadable = unreadable(Effect::Idempotent);
        // Without a body: the exchange signs, and reads, none.
        let call = Call::new(
            Method::POST,
            "/futures/cross/position/close",
            Effect::Idempotent,
        );
        let answer = self.signed(&call, who, Some(signed_at)).await?;
        let closed = parse::order(&answer).map_err(&unreadable)?;
        shows(closed.filled).map_err(&unreadable)?;
        Ok(closed)
    }

    /// Moves satoshis from the balance into the cross account. Not idempotent, and without a client
    /// id: [`Rest::cross_transfers_since`] tells what became of it.
    ///
    /// # Errors
    /// As every call; `Class::Unknown` where it may have been applied.
    pub async fn cross_deposit(
        &self,
        who: &Credentials,
        amount: Sats,
        signed_at: DateTime<Utc>,
    ) -> Result<CrossReading, ExchangeError> {
        let body = wire::Amount { amount: amount.0 };
        let call = Call::post("/futures/cross/deposit", &body, Effect::Repeats)?;
        let cross = self.signed(&call, who, Some(signed_at)).await?;
        parse::cross(&cross).map_err(unreadable(Effect::Repeats))
    }

    /// Sets the leverage of the cross account, 1 to 100. Idempotent.
    ///
    /// # Errors
    /// As every call.
    pub async fn cross_leverage(
        &self,
        who: &Credentials,
        leverage: i64,
        signed_at: DateTime<Utc>,
    ) -> Result<CrossReading, ExchangeError> {
        let unreadable = unreadable(Effect::Idempotent);
        let body = wire::Leverage { leverage };
        let call = Call::put("/futures/cross/leverage", &body, Effect::Idempotent)?;
        let cross = self.signed(&call, who, Some(signed_at)).await?;
        let reading = parse::cross(&cross).map_err(&unreadable)?;
        shows(reading.leverage == leverage).map_err(&unreadable)?;
        Ok(reading)
    }

    /// Deposits and withdrawals of the cross account made at this time, by the exchange's clock, or
    /// later; newest first.
    ///
    /// # Errors
    /// As every call; also where they are too many to be read.
    pub async fn cross_transfers_since(
        &self,
        who: &Credentials,
        since: DateTime<Utc>,
    ) -> Result<Vec<Transfer>, ExchangeError> {
        let mut transfers = vec![];
        let seen = |page: &[wire::Transfer]| {
            transfers.extend(parse::transfers_since(page, since)?);
            Ok(None::<std::convert::Infallible>)
        };
        self.pages("/futures/cross/transfers", who, since, seen)
            .await?;
        Ok(transfers)
    }
}
