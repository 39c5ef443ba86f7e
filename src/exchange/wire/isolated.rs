//! Isolated trades.

use serde::{Deserialize, Serialize};

use super::{Number, Side, or_false, or_zero};
use crate::domain::units::Price;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct Trade {
    pub id: uuid::Uuid,
    pub side: Side,
    pub quantity: f64,
    pub leverage: f64,
    pub margin: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub maintenance_margin: f64,
    pub price: f64,
    #[serde(default)]
    pub entry_price: Option<f64>,
    pub liquidation: f64,
    #[serde(default)]
    pub stoploss: Option<f64>,
    #[serde(default)]
    pub stoploss_trailing_distance: Option<f64>,
    #[serde(default)]
    pub takeprofit: Option<f64>,
    #[serde(default, deserialize_with = "or_zero")]
    pub opening_fee: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub sum_funding_fees: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub sum_cash_in_margin: f64,
    #[serde(default, deserialize_with = "or_false")]
    pub open: bool,
    #[serde(default, deserialize_with = "or_false")]
    pub running: bool,
    #[serde(default, deserialize_with = "or_false")]
    pub closed: bool,
    #[serde(default, deserialize_with = "or_false")]
    pub canceled: bool,
    pub created_at: chrono::DateTime<chrono::Utc>,
    pub closed_at: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default, deserialize_with = "or_zero")]
    pub pl: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub closing_fee: f64,
    #[serde(default)]
    pub exit_price: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct FundingFee {
    pub time: chrono::DateTime<chrono::Utc>,
    pub fee: f64,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Id {
    pub id: uuid::Uuid,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct IdAmount {
    pub id: uuid::Uuid,
    pub amount: i64,
}

/// What is not asked for is left out, never sent as null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct MarketOrder<'a> {
    pub r#type: &'a str,
    pub side: Side,
    pub quantity: i64,
    pub leverage: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stoploss: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stoploss_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takeprofit: Option<Price>,
    pub client_id: &'a str,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Stoploss {
    pub id: uuid::Uuid,
    /// A price, or a trailing distance.
    pub value: Number,
    pub mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Takeprofit {
    pub id: uuid::Uuid,
    pub value: Price,
}
