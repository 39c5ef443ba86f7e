//! The cross account.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Unreadable, client_id, optional_price, sats, side, whole};
use crate::domain::ids::PositionId;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats, Usd};
use crate::exchange::wire;

/// The cross account: its margin, and the position if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossReading {
    /// All satoshis that the cross account holds.
    pub margin: Sats,
    /// The leverage that is set, 1 to 100; it is set also while there is no position.
    pub leverage: i64,
    /// The net position; `None` when flat.
    pub position: Option<Position>,
}

/// An order of the cross account, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossOrder {
    /// The exchange's id of it.
    pub id: Uuid,
    /// Which way it moves the position.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// The price of the fill, or the limit.
    pub price: Option<Price>,
    /// The fee of the fill, in satoshis.
    pub trading_fee: Sats,
    /// Whether it was filled; one that is neither filled nor canceled is open.
    pub filled: bool,
    /// Whether it was canceled.
    pub canceled: bool,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it was filled.
    pub filled_at: Option<DateTime<Utc>>,
    /// The client id given with it.
    pub client_id: Option<String>,
}

/// Satoshis moved between the balance and the cross account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The exchange's id of it.
    pub id: Uuid,
    /// Into the cross account; negative for a withdrawal.
    pub amount: Sats,
    /// When it was made.
    pub time: DateTime<Utc>,
}

pub(in crate::exchange) fn cross(cross: &wire::CrossPosition) -> Result<CrossReading, Unreadable> {
    let (margin, leverage) = (
        sats("margin", cross.margin)?,
        whole("leverage", cross.leverage)?,
    );
    let quantity = whole("quantity", cross.quantity)?;
    let position = match quantity {
        0 => None,
        quantity => Some(position(cross, quantity, margin)?),
    };
    Ok(CrossReading {
        margin,
        leverage,
        position,
    })
}

fn position(
    cross: &wire::CrossPosition,
    quantity: i64,
    margin: Sats,
) -> Result<Position, Unreadable> {
    let side = if quantity > 0 { Side::Buy } else { Side::Sell };
    let entry_price = optional_price("entryPrice", cross.entry_price)?
        .ok_or_else(|| Unreadable("a position without an entryPrice".to_owned()))?;
    let liquidation = match (optional_price("liquidation", cross.liquidation)?, side) {
        (Some(liquidation), _) => liquidation,
        // A short with enough margin can never be liquidated; of a trade the exchange then quotes
        // its highest price.
        (None, Side::Sell) => Price::MAX,
        (None, Side::Buy) => return Err(Unreadable("a long without a liquidation".to_owned())),
    };
    Ok(Position {
        id: PositionId(cross.id),
        mode: MarginMode::Cross,
        side,
        quantity: Usd(quantity.saturating_abs()),
        margin,
        maintenance_margin: sats("maintenanceMargin", cross.maintenance_margin)?,
        price: entry_price,
        entry_price,
        leverage: cross.leverage,
        liquidation,
        stoploss: None,
        takeprofit: None,
        trailing_distance: None,
        opening_fee: sats("tradingFees", cross.trading_fees)?,
        sum_funding_fees: sats("fundingFees", cross.funding_fees)?,
        sum_cash_in_margin: Sats::ZERO,
        client_id: None,
        // The exchange does not say when a cross position was opened.
        created_at: cross.updated_at,
    })
}

pub(in crate::exchange) fn order(order: &wire::CrossOrder) -> Result<CrossOrder, Unreadable> {
    let quantity = whole("quantity", order.quantity)?;
    if quantity <= 0 {
        return Err(Unreadable(format!("quantity {quantity} is not over zero")));
    }
    Ok(CrossOrder {
        id: order.id,
        side: side(order.side),
        quantity: Usd(quantity),
        price: optional_price("price", order.price)?,
        trading_fee: sats("tradingFee", order.trading_fee)?,
        filled: order.filled,
        canceled: order.canceled,
        created_at: order.created_at,
        filled_at: order.filled_at,
        client_id: client_id(order.client_id.as_deref()),
    })
}

/// Those made at this time or later.
pub(in crate::exchange) fn transfers_since(
    transfers: &[wire::Transfer],
    since: DateTime<Utc>,
) -> Result<Vec<Transfer>, Unreadable> {
    let later = transfers.iter().filter(|transfer| transfer.time >= since);
    later
        .map(|transfer| {
            Ok(Transfer {
                id: transfer.id,
                amount: sats("amount", transfer.amount)?,
                time: transfer.time,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The protocol sheet's, section 2.5.
    const SHORT: &str = r#"{"id":"00000000-0000-0000-0000-000000000009","margin":500000,
        "quantity":-1000,"leverage":10,"entryPrice":100000,"liquidation":199402,
        "initialMargin":100000,"runningMargin":100000,"maintenanceMargin":1500,
        "tradingFees":1000,"fundingFees":-3,"totalPl":0,"deltaPl":0,
        "updatedAt":"2026-10-26T16:30:43.123Z"}"#;

    fn parsed(json: &str) -> Result<CrossReading, Unreadable> {
        cross(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_sign_of_the_quantity_is_the_side() {
        let reading = parsed(SHORT).unwrap();
        let position = reading.position.unwrap();
        assert_eq!(position.mode, MarginMode::Cross);
        assert_eq!((position.side, position.quantity), (Side::Sell, Usd(1000)));
        assert_eq!(
            (position.margin, reading.margin),
            (Sats(500_000), Sats(500_000))
        );
        assert_eq!(position.maintenance_margin, Sats(1500));
        assert_eq!(position.liquidation, Price::from_usd(199_402.0).unwrap());
        assert_eq!(position.sum_funding_fees, Sats(-3));
        let long = parsed(&SHORT.replace("-1000", "1000")).unwrap();
        assert_eq!(long.position.unwrap().side, Side::Buy);
    }

    #[test]
    fn flat_is_no_position_and_no_error() {
        let flat = SHORT
            .replace("-1000", "0")
            .replace("\"entryPrice\":100000", "\"entryPrice\":null")
            .replace("\"liquidation\":199402", "\"liquidation\":null")
            .replace("\"maintenanceMargin\":1500", "\"maintenanceMargin\":null");
        let reading = parsed(&flat).unwrap();
        assert_eq!((reading.margin, reading.leverage), (Sats(500_000), 10));
        assert_eq!(reading.position, None);
    }

    #[test]
    fn a_position_is_read_whole_or_not_at_all() {
        let never = SHORT.replace("\"liquidation\":199402", "\"liquidation\":null");
        let position = parsed(&never).unwrap().position.unwrap();
        assert_eq!(position.liquidation, Price::MAX);
        for (json, named) in [
            (never.replace("-1000", "1000"), "liquidation"),
            (SHORT.replace("\"entryPrice\":100000,", ""), "entryPrice"),
            (SHORT.replace("-1000", "-10.5"), "quantity"),
            (
                SHORT.replace("\"leverage\":10", "\"leverage\":10.5"),
                "leverage",
            ),
        ] {
            let error = parsed(&json).unwrap_err();
            assert!(error.0.contains(named), "{error}");
        }
    }

    #[test]
    fn orders_of_any_type_and_state_are_read() {
        let json = r#"{"id":"be4f36fe-0000-4f77-838d-d1df26f216e1","type":"liquidation",
            "side":"sell","quantity":10,"price":77055,"createdAt":"2026-10-22T11:07:19.867Z",
            "filledAt":null,"canceledAt":null,"open":true,"clientId":""}"#;
        let order = order(&serde_json::from_str(json).unwrap()).unwrap();
        assert!(!order.filled && !order.canceled && order.client_id.is_none());
        assert_eq!(order.trading_fee, Sats::ZERO);
    }

    #[test]
    fn transfers_before_the_time_do_not_count() {
        let json = r#"[{"id":"00000000-0000-0000-0000-000000000002","amount":-7,
            "time":"2026-10-26T16:30:44.000Z"},{"id":"00000000-0000-0000-0000-000000000001",
            "amount":5000,"time":"2026-10-26T16:30:43.999Z"}]"#;
        let transfers: Vec<wire::Transfer> = serde_json::from_str(json).unwrap();
        let since = "2026-10-26T16:30:44Z".parse().unwrap();
        let later = transfers_since(&transfers, since).unwrap();
        assert_eq!(later.len(), 1);
        assert_eq!(later[0].amount, Sats(-7));
    }
}
