//! Stop-loss and take-profit of isolated trades. All of it is idempotent, but the exchange refuses a
//! value that is already set: after an unknown outcome, what is set is read.

use chrono::{DateTime, Utc};

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::domain::ids::PositionId;
use crate::domain::position::Position;
use crate::domain::units::Price;
use crate::exchange::answer::{shows, unreadable};
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse;
use crate::exchange::wire;

const STOPLOSS: &str = "/futures/isolated/trade/stoploss";
const TAKEPROFIT: &str = "/futures/isolated/trade/takeprofit";
/// Trailing distances that differ by less are the same.
const SAME_DISTANCE: f64 = 1e-9;

/// Where a trade is to be closed at a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopLoss {
    /// At this price, on the tick.
    Fixed(Price),
    /// At this distance from the best price since it was set, in the exchange's unit (documented as
    /// a fraction of the price, 0.001 to 10).
    Trailing(f64),
}

impl StopLoss {
    /// Value and mode.
    pub(super) fn on_the_wire(self) -> (wire::Number, &'static str) {
        match self {
            Self::Fixed(price) => (wire::Number(price.usd()), "fixed"),
            Self::Trailing(distance) => (wire::Number(distance), "trailing"),
        }
    }

    fn is_set(self, position: &Position) -> bool {
        match (self, position.trailing_distance) {
            (Self::Fixed(price), None) => position.stoploss == Some(price),
            (Self::Trailing(asked), Some(set)) => (asked - set).abs() < SAME_DISTANCE,
            _ => false,
        }
    }
}

impl Rest {
    /// Sets a running trade's stop-loss, in place of the one that it has.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_stoploss(
        &self,
        who: &Credentials,
        id: PositionId,
        stoploss: StopLoss,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let (value, mode) = stoploss.on_the_wire();
        let body = wire::Stoploss {
            id: id.0,
            value,
            mode,
        };
        let call = Call::put(STOPLOSS, &body, Effect::Idempotent)?;
        let is_set = |position: &Position| stoploss.is_set(position);
        self.edit(&call, who, id, signed_at, is_set).await
    }

    /// Takes a running trade's stop-loss away, fixed or trailing.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove_stoploss(
        &self,
        who: &Credentials,
        id: PositionId,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let call = Call::delete(STOPLOSS, format!("?id={}", id.0), Effect::Idempotent);
        let is_gone = |position: &Position| {
            position.stoploss.is_none() && position.trailing_distance.is_none()
        };
        self.edit(&call, who, id, signed_at, is_gone).await
    }

    /// Sets a running trade's take-profit, on the tick.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_takeprofit(
        &self,
        who: &Credentials,
        id: PositionId,
        takeprofit: Price,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let body = wire::Takeprofit {
            id: id.0,
            value: takeprofit,
        };
        let call = Call::put(TAKEPROFIT, &body, Effect::Idempotent)?;
        let is_set = |position: &Position| position.takeprofit == Some(takeprofit);
        self.edit(&call, who, id, signed_at, is_set).await
    }

    /// Takes a running trade's take-profit away.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove_takeprofit(
        &self,
        who: &Credentials,
        id: PositionId,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let call = Call::delete(TAKEPROFIT, format!("?id={}", id.0), Effect::Idempotent);
        let is_gone = |position: &Position| position.takeprofit.is_none();
        self.edit(&call, who, id, signed_at, is_gone).await
    }

    async fn edit(
        &self,
        call: &Call<'_>,
        who: &Credentials,
        id: PositionId,
        signed_at: DateTime<Utc>,
        is_done: impl Fn(&Position) -> bool,
    ) -> Result<Position, ExchangeError> {
        let unreadable = unreadable(Effect::Idempotent);
        let trade: wire::Trade = self.signed(call, who, Some(signed_at)).await?;
        let position = parse::position(&trade).map_err(&unreadable)?;
        let done = position.id == id && parse::is_running(&trade) && is_done(&position);
        shows(done).map_err(&unreadable)?;
        Ok(position)
    }
}
