//! Cross margin: the order and the position, on REST and on the stream.

use serde::Serialize;
use serde_json::{Value, json};

use super::{js, number, number_or_null, to_json};
use crate::simulator::clock::iso;
use crate::simulator::cross::{Cross, Order, OrderState, OrderType, Position};
use crate::simulator::engine::{OrderEvent, PositionEvent};
use crate::simulator::money::Price;

/// An order of the cross account as REST answers show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CrossOrderView {
    /// UUID.
    pub id: String,
    /// `limit`, `market` or `liquidation`.
    pub r#type: &'static str,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Whole US dollars.
    pub quantity: i64,
    /// Limit, or execution price, USD.
    #[serde(serialize_with = "number")]
    pub price: f64,
    /// Satoshis; 0 until filled.
    pub trading_fee: i64,
    /// ISO 8601.
    pub created_at: String,
    /// ISO 8601.
    pub filled_at: Option<String>,
    /// ISO 8601.
    pub canceled_at: Option<String>,
    /// Waiting for its limit price.
    pub open: bool,
    /// Executed.
    pub filled: bool,
    /// Withdrawn before it was executed.
    pub canceled: bool,
    /// As given by the client.
    pub client_id: Option<String>,
}

impl CrossOrderView {
    pub(in crate::simulator) fn new(order: &Order) -> Self {
        let ended = |state| order.ended_at.filter(|_| order.state == state).map(iso);
        CrossOrderView {
            id: order.id.to_string(),
            r#type: kind(order),
            side: order.side.as_str(),
            quantity: order.quantity,
            price: order.price.to_f64(),
            trading_fee: order.fee,
            created_at: iso(order.created_at),
            filled_at: ended(OrderState::Filled),
            canceled_at: ended(OrderState::Canceled),
            open: order.state == OrderState::Open,
            filled: order.state == OrderState::Filled,
            canceled: order.state == OrderState::Canceled,
            client_id: order.client_id.clone(),
        }
    }
}

fn kind(order: &Order) -> &'static str {
    match order.kind {
        OrderType::Limit => "limit",
        OrderType::Market => "market",
        OrderType::Liquidation => "liquidation",
    }
}

/// The cross position as REST answers show it.
///
/// The exchange does not say what three of its fields mean. Here `initial_margin` is what position
/// and open orders bind, `total_pl` is the P&L since the position was opened, realised or not, and
/// `delta_pl` is its change since `updated_at`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CrossPositionView {
    /// UUID, the same for the account's whole life.
    pub id: String,
    /// Satoshis in the cross account.
    pub margin: i64,
    /// US dollars, negative when short, 0 when flat.
    pub quantity: i64,
    /// 1 to 100.
    pub leverage: i64,
    /// USD; none when flat.
    #[serde(serialize_with = "number_or_null")]
    pub entry_price: Option<f64>,
    /// USD; none when flat.
    #[serde(serialize_with = "number_or_null")]
    pub liquidation: Option<f64>,
    /// Satoshis bound by the position and by open orders.
    pub initial_margin: i64,
    /// Satoshis bound by the position: notional over leverage.
    pub running_margin: i64,
    /// Satoshis: 0.15 % of the notional.
    pub maintenance_margin: i64,
    /// Satoshis paid since the position was opened.
    pub trading_fees: i64,
    /// Satoshis since the position was opened, positive when paid.
    pub funding_fees: i64,
    /// Satoshis.
    pub total_pl: i64,
    /// Satoshis.
    pub delta_pl: i64,
    /// ISO 8601.
    pub updated_at: String,
}

impl CrossPositionView {
    pub(in crate::simulator) fn new(cross: &Cross, last: Price) -> Self {
        Self::of(&cross.position, cross.in_orders(), last)
    }

    fn of(position: &Position, in_orders: i64, last: Price) -> Self {
        let flat = position.is_flat();
        let total_pl = position.total_pl(last);
        CrossPositionView {
            id: position.id.to_string(),
            margin: position.margin,
            quantity: position.quantity,
            leverage: position.leverage,
            entry_price: (!flat).then(|| position.entry.to_f64()),
            liquidation: position.liquidation().map(Price::to_f64),
            initial_margin: position.running_margin() + in_orders,
            running_margin: position.running_margin(),
            maintenance_margin: position.maintenance(),
            trading_fees: position.trading_fees,
            funding_fees: position.funding_fees,
            total_pl,
            delta_pl: total_pl - position.pl_then,
            updated_at: iso(position.updated_at),
        }
    }
}

/// `params.data` of an order event.
pub(in crate::simulator) fn order_event(event: OrderEvent, order: &Order) -> Value {
    let mut body = json!({
        "id": order.id, "side": order.side.as_str(), "type": kind(order),
        "quantity": order.quantity, "price": js(order.price.to_f64()),
        "clientId": order.client_id, "createdAt": order.created_at,
    });
    match order.state {
        OrderState::Open => body["tradingFee"] = json!(order.fee),
        OrderState::Filled => {
            body["tradingFee"] = json!(order.fee);
            body["filledAt"] = json!(order.ended_at);
        }
        // The exchange leaves the fee out of these.
        OrderState::Canceled => body["canceledAt"] = json!(order.ended_at),
    }
    let name = match event {
        OrderEvent::New => "new",
        OrderEvent::Limit => "limit",
        OrderEvent::Canceled => "canceled",
    };
    json!({ "pair": "btc_usd", "event": name, "order": body })
}

/// `params.data` of a position event: as on REST, without the id, and with a numeric time.
pub(in crate::simulator) fn position_event(
    event: PositionEvent,
    position: &Position,
    in_orders: i64,
    last: Price,
) -> Value {
    let mut body = to_json(&CrossPositionView::of(position, in_orders, last));
    if let Some(fields) = body.as_object_mut() {
        fields.remove("id");
        fields.insert("updatedAt".to_owned(), json!(position.updated_at));
    }
    let name = match event {
        PositionEvent::New => "new",
        PositionEvent::Limit => "limit",
        PositionEvent::Cancel => "cancel",
        PositionEvent::Leverage => "leverage",
        PositionEvent::Deposit => "deposit",
        PositionEvent::Withdraw => "withdraw",
        PositionEvent::Liquidation => "liquidation",
        PositionEvent::Funding => "funding",
    };
    json!({ "pair": "btc_usd", "event": name, "position": body })
}
