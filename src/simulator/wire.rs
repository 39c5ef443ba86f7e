//! The exchange's JSON, outgoing.

mod cross;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::clock::iso;
use super::engine::{Engine, EventKind};
use super::money::Price;
use super::trade::{Trade, TradeState, TradeType};

pub use cross::{CrossOrderView, CrossPositionView};
pub(super) use cross::{order_event, position_event};

/// An isolated trade as REST answers show it; every field of the exchange's object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TradeView {
    /// UUID, the same from open to closed.
    pub id: String,
    /// `limit` or `market`.
    pub r#type: &'static str,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Whole US dollars.
    pub quantity: i64,
    /// Effective leverage.
    #[serde(serialize_with = "number")]
    pub leverage: f64,
    /// Satoshis, without the fee reserve.
    pub margin: i64,
    /// Fee reserve, satoshis.
    pub maintenance_margin: i64,
    /// Reference price of the P&L, USD.
    #[serde(serialize_with = "number")]
    pub price: f64,
    /// Original fill price, USD.
    #[serde(serialize_with = "number")]
    pub entry_price: f64,
    /// Margin at entry, satoshis.
    pub entry_margin: i64,
    /// Price of the closing leg, USD.
    #[serde(serialize_with = "number_or_null")]
    pub exit_price: Option<f64>,
    /// Quoted liquidation price, USD.
    #[serde(serialize_with = "number")]
    pub liquidation: f64,
    /// Current stop, USD; 0 when unset.
    #[serde(serialize_with = "number")]
    pub stoploss: f64,
    /// Trailing distance as a fraction; 0 when not trailing.
    #[serde(serialize_with = "number")]
    pub stoploss_trailing_distance: f64,
    /// Take-profit, USD; 0 when unset.
    #[serde(serialize_with = "number")]
    pub takeprofit: f64,
    /// Satoshis; 0 until filled.
    pub opening_fee: i64,
    /// Satoshis; 0 until closed.
    pub closing_fee: i64,
    /// Satoshis: unrealised while running, realised when closed.
    pub pl: i64,
    /// Net funding, satoshis, positive when paid.
    pub sum_funding_fees: i64,
    /// Satoshis taken out of the profit so far.
    pub sum_cash_in_pl: i64,
    /// Satoshis taken out of the margin so far.
    pub sum_cash_in_margin: i64,
    /// Waiting for its limit price.
    pub open: bool,
    /// Filled and not ended.
    pub running: bool,
    /// Ended after it ran.
    pub closed: bool,
    /// Withdrawn before it ran.
    pub canceled: bool,
    /// ISO 8601.
    pub created_at: String,
    /// ISO 8601.
    pub filled_at: Option<String>,
    /// ISO 8601; also set on canceled trades.
    pub closed_at: Option<String>,
    /// As given by the client.
    pub client_id: Option<String>,
}

impl TradeView {
    pub(super) fn new(trade: &Trade, last: Price) -> Self {
        TradeView {
            id: trade.id.to_string(),
            r#type: kind(trade),
            side: trade.side.as_str(),
            quantity: trade.quantity,
            leverage: trade.leverage,
            margin: trade.margin,
            maintenance_margin: trade.maintenance,
            price: trade.price.to_f64(),
            entry_price: trade.entry_price.to_f64(),
            entry_margin: trade.entry_margin,
            exit_price: trade.exit_price.map(Price::to_f64),
            liquidation: trade.liquidation.to_f64(),
            stoploss: trade.stoploss.to_f64(),
            stoploss_trailing_distance: trade.trailing.map_or(0.0, |trailing| trailing.shown),
            takeprofit: trade.takeprofit.to_f64(),
            opening_fee: trade.opening_fee,
            closing_fee: trade.closing_fee,
            pl: trade.pl_at(last),
            sum_funding_fees: trade.sum_funding_fees,
            sum_cash_in_pl: trade.sum_cash_in_pl,
            sum_cash_in_margin: trade.sum_cash_in_margin,
            open: trade.state == TradeState::Open,
            running: trade.state == TradeState::Running,
            closed: trade.state == TradeState::Closed,
            canceled: trade.state == TradeState::Canceled,
            created_at: iso(trade.created_at),
            filled_at: trade.filled_at.map(iso),
            closed_at: trade.closed_at.map(iso),
            client_id: trade.client_id.clone(),
        }
    }
}

fn kind(trade: &Trade) -> &'static str {
    match trade.kind {
        TradeType::Limit => "limit",
        TradeType::Market => "market",
    }
}

/// A number as JavaScript prints it: `10`, not `10.0`.
pub(super) fn js(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    js(*value).serialize(serializer)
}

fn number_or_null<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(js).serialize(serializer)
}

/// Any of our values as JSON. They have string keys and plain numbers, so this cannot fail; if it
/// did, `null` on the wire would show.
pub(super) fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// `params.data` of a private trade event.
pub(super) fn trade_event(event: EventKind, trade: &Trade) -> Value {
    let (id, client_id) = (trade.id, &trade.client_id);
    let ended = json!({
        "id": id, "closedAt": trade.closed_at, "closingFee": trade.closing_fee,
        "pl": trade.realised, "exitPrice": trade.exit_price.map(|price| js(price.to_f64())),
        "clientId": client_id,
    });
    let placed = json!({
        "id": id, "side": trade.side.as_str(), "type": kind(trade), "quantity": trade.quantity,
        "margin": trade.margin, "leverage": js(trade.leverage), "price": js(trade.price.to_f64()),
        "openingFee": trade.opening_fee, "createdAt": trade.created_at, "clientId": client_id,
    });
    let (name, body) = match event {
        EventKind::Open => ("open", placed),
        EventKind::Filled => ("filled", placed),
        EventKind::Closed => ("closed", ended),
        EventKind::Stoploss => ("stoploss", ended),
        EventKind::Takeprofit => ("takeprofit", ended),
        EventKind::Canceled => (
            "canceled",
            json!({ "id": id, "closedAt": trade.closed_at, "clientId": client_id }),
        ),
        EventKind::Liquidation => {
            let mut body = ended;
            if let Some(fields) = body.as_object_mut() {
                // The exchange leaves it out: it is the whole margin.
                fields.remove("pl");
            }
            ("liquidation", body)
        }
        EventKind::Funding { fee, at } => {
            let body = json!({
                "id": id, "margin": trade.margin,
                "liquidationPrice": js(trade.liquidation.to_f64()),
                "fundingFee": fee, "fundedAt": at, "clientId": client_id,
            });
            ("funding", body)
        }
    };
    json!({ "pair": "btc_usd", "event": name, "trade": body })
}

/// Largest size of the one price bucket, US dollars.
const BUCKET_MAX: i64 = 100_000_000;
pub(super) fn buckets(engine: &Engine) -> Value {
    json!([{
        "minSize": 0, "maxSize": BUCKET_MAX,
        "askPrice": js(engine.ask().to_f64()), "bidPrice": js(engine.bid().to_f64()),
    }])
}

/// The REST ticker.
pub(super) fn ticker(engine: &Engine, now: i64) -> Value {
    let last = js(engine.last.to_f64());
    json!({
        "time": iso(now), "index": last, "lastPrice": last,
        "fundingRate": engine.funding_rate, "fundingTime": iso(engine.next_funding(now)),
        "prices": buckets(engine),
        "priceChange24h": { "ratio": 0, "updatedAt": iso(now) },
        "exchangesWeights": { "bybit": 0.4, "binance": 0.4, "okx": 0.2 },
    })
}
