//! What goes over a socket.

use serde::{Deserialize, Serialize};

/// A request on the stream. Ids are strings: the official clients know no others.
#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Request<'a, P: Serialize> {
    pub jsonrpc: &'a str,
    pub id: &'a str,
    pub method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<P>,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Login<'a> {
    pub key: &'a str,
    pub passphrase: &'a str,
    pub timestamp: i64,
    pub nonce: &'a str,
    pub signature: &'a str,
}

#[derive(Debug, Serialize)]
pub(in crate::exchange) struct Topics<'a> {
    pub topics: &'a [&'a str],
}

/// Anything that comes on the stream. The payload stays unparsed until its topic is known.
#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct Incoming<'a> {
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
pub(in crate::exchange) struct StreamError {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub data: Option<StreamErrorData>,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct StreamErrorData {
    #[serde(default)]
    pub code: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct Push<'a> {
    #[serde(borrow)]
    pub topic: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub data: &'a serde_json::value::RawValue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::exchange) struct LastPrice {
    pub time: i64,
    pub last_price: f64,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct TradePush {
    pub event: String,
    pub trade: TradeRef,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct TradeRef {
    pub id: uuid::Uuid,
}

#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct Subscribed {
    pub subscribed: Vec<String>,
}

/// What a login brings; a session works without knowing it.
#[derive(Debug, Deserialize)]
pub(in crate::exchange) struct LoggedIn {
    pub permissions: Vec<String>,
}
