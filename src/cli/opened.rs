//! A position as the exchange would open it, for what is only reckoned.

use chrono::{DateTime, Utc};

use crate::domain::ids::PositionId;
use crate::domain::maths::fees::{FeeTier, Reserve, trading_fee};
use crate::domain::maths::{self, cross::Exposure, isolated};
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats, Usd};

/// What is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub side: Side,
    pub quantity: Usd,
    pub price: Price,
    pub leverage: f64,
}

/// An isolated trade that has just been filled at its price.
pub(super) fn trade(order: Order, tier: FeeTier, id: PositionId, at: DateTime<Utc>) -> Position {
    let Order {
        side,
        quantity,
        price,
        leverage,
    } = order;
    let margin = isolated::margin(quantity, price, leverage);
    let liquidation = maths::liquidation(side, quantity, price, margin);
    let opening_fee = trading_fee(quantity, price, tier);
    let reserve = Reserve::of(quantity, price, liquidation);
    Position {
        id,
        mode: MarginMode::Isolated,
        side,
        quantity,
        margin,
        maintenance_margin: reserve.of_running(opening_fee),
        price,
        entry_price: price,
        leverage,
        liquidation,
        stoploss: None,
        takeprofit: None,
        trailing_distance: None,
        opening_fee,
        sum_funding_fees: Sats::ZERO,
        sum_cash_in_margin: Sats::ZERO,
        client_id: None,
        created_at: at,
    }
}

/// The position of a cross account that holds so much margin.
pub(super) fn cross(
    exposure: Exposure,
    margin: Sats,
    leverage: i64,
    id: PositionId,
    at: DateTime<Utc>,
) -> Position {
    let order = Order {
        side: exposure.side,
        quantity: exposure.quantity,
        price: exposure.entry,
        leverage: leverage as f64,
    };
    Position {
        mode: MarginMode::Cross,
        margin,
        maintenance_margin: exposure.maintenance_margin(),
        liquidation: exposure.liquidation(margin),
        opening_fee: Sats::ZERO,
        ..trade(order, FeeTier::One, id, at)
    }
}
