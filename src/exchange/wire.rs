//! The exchange's JSON, as it comes: unknown fields are ignored, optional ones may be missing or
//! null, numbers may be whole or not.

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trade {
    pub id: uuid::Uuid,
    pub side: Side,
    pub quantity: f64,
    pub leverage: f64,
    pub margin: f64,
    #[serde(default)]
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
    #[serde(default)]
    pub opening_fee: f64,
    #[serde(default)]
    pub sum_funding_fees: f64,
    #[serde(default)]
    pub sum_cash_in_margin: f64,
    #[serde(default)]
    pub running: bool,
    #[serde(default)]
    pub closed: bool,
    #[serde(default)]
    pub canceled: bool,
    pub created_at: chrono::DateTime<chrono::Utc>,
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub pl: f64,
    #[serde(default)]
    pub closing_fee: f64,
    #[serde(default)]
    pub exit_price: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Buy,
    Sell,
}

#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticker {
    pub last_price: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Time {
    pub time: chrono::DateTime<chrono::Utc>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub balance: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct FundingFee {
    pub time: chrono::DateTime<chrono::Utc>,
    pub fee: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    pub code: Option<String>,
    pub message: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Id {
    pub id: uuid::Uuid,
}

#[derive(Debug, Serialize)]
pub(super) struct IdAmount {
    pub id: uuid::Uuid,
    pub amount: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarketOrder<'a> {
    pub r#type: &'a str,
    pub side: Side,
    pub quantity: i64,
    pub leverage: i64,
    pub client_id: &'a str,
}

/// A request on the stream. Ids are strings: the official clients know no others.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a, P: Serialize> {
    pub jsonrpc: &'a str,
    pub id: &'a str,
    pub method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<P>,
}

#[derive(Debug, Serialize)]
pub(super) struct Login<'a> {
    pub key: &'a str,
    pub passphrase: &'a str,
    pub timestamp: i64,
    pub nonce: &'a str,
    pub signature: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Topics<'a> {
    pub topics: &'a [String],
}

/// Anything that comes on the stream. The payload stays unparsed until its topic is known.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default, borrow)]
    pub result: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    pub error: Option<StreamError>,
    #[serde(default, borrow)]
    pub params: Option<Push<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamError {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub data: Option<StreamErrorData>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamErrorData {
    #[serde(default)]
    pub code: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Push<'a> {
    #[serde(borrow)]
    pub topic: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub data: &'a serde_json::value::RawValue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastPrice {
    pub time: i64,
    pub last_price: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct TradePush {
    pub event: String,
    pub trade: TradeRef,
}

#[derive(Debug, Deserialize)]
pub(super) struct TradeRef {
    pub id: uuid::Uuid,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subscribed {
    pub subscribed: Vec<String>,
}
