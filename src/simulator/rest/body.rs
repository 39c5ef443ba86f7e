//! Request bodies: types and ranges; the rules of trading are the engine's.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::ApiError;
use crate::simulator::engine::{NewOrder, NewTrade, Size, Stop};
use crate::simulator::money::{Price, Side};

/// Longest `clientId`, characters.
const MAX_CLIENT_ID: usize = 64;

/// Reads JSON; the error names the field.
pub(in crate::simulator) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|problem| {
        let field = problem.path().to_string();
        ApiError::bad(
            if field == "." { "body" } else { &field },
            problem.inner().to_string(),
        )
    })?;
    reader
        .end()
        .map_err(|problem| ApiError::bad("body", problem.to_string()))?;
    Ok(value)
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum OrderType {
    Limit,
    Market,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderSide {
    Buy,
    Sell,
}

impl From<OrderSide> for Side {
    fn from(side: OrderSide) -> Self {
        match side {
            OrderSide::Buy => Side::Buy,
            OrderSide::Sell => Side::Sell,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StopMode {
    #[default]
    Fixed,
    Trailing,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TradeBody {
    r#type: OrderType,
    side: OrderSide,
    price: Option<f64>,
    quantity: Option<i64>,
    margin: Option<i64>,
    leverage: f64,
    stoploss: Option<f64>,
    stoploss_mode: Option<StopMode>,
    takeprofit: Option<f64>,
    client_id: Option<String>,
}

impl TradeBody {
    pub(super) fn into_order(self) -> Result<NewTrade, ApiError> {
        let limit = limit(self.r#type, self.price)?;
        let size = match (self.quantity, self.margin) {
            (Some(quantity), None) => Size::Quantity(quantity),
            (None, Some(margin)) => Size::Margin(margin),
            _ => {
                return Err(ApiError::bad(
                    "quantity",
                    "exactly one of quantity and margin",
                ));
            }
        };
        let client_id = client_id(self.client_id)?;
        Ok(NewTrade {
            side: self.side.into(),
            limit,
            size,
            leverage: self.leverage,
            stop: stop("stoploss", self.stoploss.unwrap_or(0.0), self.stoploss_mode)?,
            takeprofit: unset_or_on_tick("takeprofit", self.takeprofit.unwrap_or(0.0))?,
            client_id,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CrossOrderBody {
    r#type: OrderType,
    side: OrderSide,
    price: Option<f64>,
    quantity: i64,
    client_id: Option<String>,
}

impl CrossOrderBody {
    pub(super) fn into_order(self) -> Result<NewOrder, ApiError> {
        Ok(NewOrder {
            side: self.side.into(),
            quantity: self.quantity,
            limit: limit(self.r#type, self.price)?,
            client_id: client_id(self.client_id)?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdBody {
    pub(super) id: Uuid,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountBody {
    pub(super) id: Uuid,
    pub(super) amount: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoplossBody {
    pub(super) id: Uuid,
    value: f64,
    mode: Option<StopMode>,
}

impl StoplossBody {
    pub(super) fn stop(&self) -> Result<Stop, ApiError> {
        stop("value", self.value, self.mode)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeprofitBody {
    pub(super) id: Uuid,
    value: f64,
}

impl TakeprofitBody {
    pub(super) fn price(&self) -> Result<Price, ApiError> {
        unset_or_on_tick("value", self.value)
    }
}

/// The limit price, which a limit order has and a market order has not.
fn limit(kind: OrderType, price: Option<f64>) -> Result<Option<Price>, ApiError> {
    match (kind, price) {
        (OrderType::Limit, Some(price)) => on_tick("price", price).map(Some),
        (OrderType::Limit, None) => Err(ApiError::bad("price", "a limit order needs a price")),
        (OrderType::Market, None) => Ok(None),
        (OrderType::Market, Some(_)) => {
            Err(ApiError::bad("price", "a market order takes no price"))
        }
    }
}

/// An empty one is none.
fn client_id(id: Option<String>) -> Result<Option<String>, ApiError> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) if id.chars().count() > MAX_CLIENT_ID => {
            let problem = format!("at most {MAX_CLIENT_ID} characters");
            Err(ApiError::bad("clientId", problem))
        }
        id => Ok(id),
    }
}

fn stop(field: &str, value: f64, mode: Option<StopMode>) -> Result<Stop, ApiError> {
    if value == 0.0 {
        return Ok(Stop::None);
    }
    match mode.unwrap_or_default() {
        StopMode::Fixed => on_tick(field, value).map(Stop::Fixed),
        StopMode::Trailing => Ok(Stop::Trailing(value)),
    }
}

fn unset_or_on_tick(field: &str, value: f64) -> Result<Price, ApiError> {
    if value == 0.0 {
        Ok(Price::ZERO)
    } else {
        on_tick(field, value)
    }
}

fn on_tick(field: &str, value: f64) -> Result<Price, ApiError> {
    // Checked on the number itself: a price is kept in hundredths, which would hide a rest.
    match Price::from_f64(value) {
        Some(price) if (value * 2.0).fract() == 0.0 => Ok(price),
        _ => Err(ApiError::bad(
            field,
            "must be a multiple of 0.5 from 1 to 100000000",
        )),
    }
}
