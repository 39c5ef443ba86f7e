//! Isolated trades: reading them, opening, closing, adding margin.

use chrono::{DateTime, Utc};

use super::call::Call;
use super::{Rest, StopLoss};
use crate::domain::credentials::Credentials;
use crate::domain::ids::PositionId;
use crate::domain::position::{Position, Side};
use crate::domain::units::{Price, Sats, Usd};
use crate::exchange::answer::{is_of, shows, unreadable};
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, ClosedTrade, OpenOrders, Running};
use crate::exchange::wire;

/// How far back a closed trade is looked for.
const CLOSED_PAGE: usize = 100;

/// An isolated market order.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTrade {
    /// Long or short.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Leverage, 1 to 100, also between whole numbers.
    pub leverage: f64,
    /// A stop-loss to open it with.
    pub stoploss: Option<StopLoss>,
    /// A take-profit to open it with, on the tick.
    pub takeprofit: Option<Price>,
    /// Correlation: comes back with the trade. 1 to 64 characters.
    pub client_id: String,
}

impl NewTrade {
    /// A market order without stops.
    pub fn market(side: Side, quantity: Usd, leverage: f64, client_id: impl Into<String>) -> Self {
        Self {
            side,
            quantity,
            leverage,
            stoploss: None,
            takeprofit: None,
            client_id: client_id.into(),
        }
    }
}

impl Rest {
    /// All running isolated trades. One that cannot be read is named beside those that can.
    ///
    /// # Errors
    /// As every call.
    pub async fn running(&self, who: &Credentials) -> Result<Running, ExchangeError> {
        let call = Call::get("/futures/isolated/trades/running", "");
        let trades: Vec<wire::Raw> = self.signed(&call, who, None).await?;
        Ok(parse::running(&trades))
    }

    /// All open orders: limit orders that wait for their price.
    ///
    /// # Errors
    /// As every call.
    pub async fn open_orders(&self, who: &Credentials) -> Result<OpenOrders, ExchangeError> {
        let call = Call::get("/futures/isolated/trades/open", "");
        let trades: Vec<wire::Raw> = self.signed(&call, who, None).await?;
        Ok(parse::open_orders(&trades))
    }

    /// A trade that was closed of late, if it is among the last hundred.
    ///
    /// # Errors
    /// As every call.
    pub async fn closed(
        &self,
        who: &Credentials,
        id: PositionId,
    ) -> Result<Option<ClosedTrade>, ExchangeError> {
        let query = format!("?limit={CLOSED_PAGE}");
        let call = Call::get("/futures/isolated/trades/closed", query);
        let page: wire::Page<wire::Raw> = self.signed(&call, who, None).await?;
        let found: Result<Option<wire::Trade>, _> = parse::find(&page.data, |head| head.id == id.0);
        found
            .and_then(|trade| trade.as_ref().map(parse::closed_trade).transpose())
            .map_err(unreadable(Effect::Reads))
    }

    /// Funding taken from a trade's margin since a time.
    ///
    /// # Errors
    /// As every call.
    pub async fn funding_cost_since(
        &self,
        who: &Credentials,
        id: PositionId,
        since: DateTime<Utc>,
    ) -> Result<Sats, ExchangeError> {
        let query = format!("?limit=1000&tradeId={}", id.0);
        let call = Call::get("/futures/isolated/funding-fees", query);
        let page: wire::Page<wire::FundingFee> = self.signed(&call, who, None).await?;
        parse::funding_cost_since(&page.data, since).map_err(unreadable(Effect::Reads))
    }

    /// Adds margin to a running trade. Not idempotent: each request has its effect.
    ///
    /// # Errors
    /// As every call; `Class::Unknown` where it may have been applied.
    pub async fn add_margin(
        &self,
        who: &Credentials,
        id: PositionId,
        amount: Sats,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let body = wire::IdAmount {
            id: id.0,
            amount: amount.0,
        };
        let call = Call::post("/futures/isolated/trade/add-margin", &body, Effect::Repeats)?;
        let trade: wire::Trade = self.signed(&call, who, Some(signed_at)).await?;
        is_of(&trade, id, parse::is_running(&trade)).map_err(unreadable(Effect::Repeats))?;
        parse::position(&trade).map_err(unreadable(Effect::Repeats))
    }

    /// Closes a running trade. Idempotent: a trade closes once.
    ///
    /// # Errors
    /// As every call.
    pub async fn close(
        &self,
        who: &Credentials,
        id: PositionId,
        signed_at: DateTime<Utc>,
    ) -> Result<ClosedTrade, ExchangeError> {
        let body = wire::Id { id: id.0 };
        let call = Call::post("/futures/isolated/trade/close", &body, Effect::Idempotent)?;
        let trade: wire::Trade = self.signed(&call, who, Some(signed_at)).await?;
        is_of(&trade, id, trade.closed).map_err(unreadable(Effect::Idempotent))?;
        parse::closed_trade(&trade).map_err(unreadable(Effect::Idempotent))
    }

    /// Opens an isolated trade at the market. Not idempotent: each request opens a trade, whatever
    /// its client id.
    ///
    /// # Errors
    /// As every call; `Class::Unknown` where it may have been applied.
    pub async fn open(
        &self,
        who: &Credentials,
        trade: &NewTrade,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let (stoploss, stoploss_mode) = trade.stoploss.map(StopLoss::on_the_wire).unzip();
        let order = wire::MarketOrder {
            r#type: "market",
            side: wire::side(trade.side),
            quantity: trade.quantity.0,
            leverage: wire::Number(trade.leverage),
            stoploss,
            stoploss_mode,
            takeprofit: trade.takeprofit,
            client_id: &trade.client_id,
        };
        let call = Call::post("/futures/isolated/trade", &order, Effect::Repeats)?;
        let opened: wire::Trade = self.signed(&call, who, Some(signed_at)).await?;
        let ours = opened.client_id.as_deref() == Some(&trade.client_id);
        shows(ours && parse::is_running(&opened)).map_err(unreadable(Effect::Repeats))?;
        parse::position(&opened).map_err(unreadable(Effect::Repeats))
    }
}
