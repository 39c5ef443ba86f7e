//! The cross account: one net position, its margin, its orders.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Side, or_false, or_zero};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct CrossPosition {
    pub id: uuid::Uuid,
    pub margin: f64,
    /// Negative for a short.
    pub quantity: f64,
    pub leverage: f64,
    #[serde(default)]
    pub entry_price: Option<f64>,
    #[serde(default)]
    pub liquidation: Option<f64>,
    #[serde(default, deserialize_with = "or_zero")]
    pub maintenance_margin: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub trading_fees: f64,
    #[serde(default, deserialize_with = "or_zero")]
    pub funding_fees: f64,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct CrossOrder {
    pub id: uuid::Uuid,
    pub side: Side,
    pub quantity: f64,
    #[serde(default)]
    pub price: Option<f64>,
    #[serde(default, deserialize_with = "or_zero")]
    pub trading_fee: f64,
    #[serde(default, deserialize_with = "or_false")]
    pub filled: bool,
    #[serde(default, deserialize_with = "or_false")]
    pub canceled: bool,
    pub created_at: DateTime<Utc>,
    #[serde(default)]
    pub filled_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct Transfer {
    pub id: uuid::Uuid,
    /// Negative for a withdrawal.
    pub amount: f64,
    pub time: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct CrossMarketOrder<'a> {
    pub r#type: &'a str,
    pub side: Side,
    pub quantity: i64,
    pub client_id: &'a str,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Amount {
    pub amount: i64,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Leverage {
    pub leverage: i64,
}
