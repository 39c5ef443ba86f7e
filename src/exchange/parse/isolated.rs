//! Isolated trades.

use chrono::{DateTime, Utc};

use super::{Unreadable, client_id, optional_price, price, sats, side, whole};
use crate::domain::ids::PositionId;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats, Usd};
use crate::exchange::wire;

/// A trade that no longer runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedTrade {
    /// The trade as it was at its end.
    pub position: Position,
    /// Realised profit or loss, in satoshis.
    pub pl: Sats,
    /// Closing fee, in satoshis.
    pub closing_fee: Sats,
    /// Where it ended.
    pub exit_price: Option<Price>,
    /// When it ended.
    pub closed_at: Option<DateTime<Utc>>,
}

/// A limit order that waits for its price, or that was canceled while it waited.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenOrder {
    /// The id of the trade that it is to become.
    pub id: PositionId,
    /// Long or short.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Where it is to be filled.
    pub price: Price,
    /// Margin set aside, in satoshis.
    pub margin: Sats,
    /// The client id given with it.
    pub client_id: Option<String>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

pub(in crate::exchange) fn position(trade: &wire::Trade) -> Result<Position, Unreadable> {
    let reference = price("price", trade.price)?;
    Ok(Position {
        id: PositionId(trade.id),
        mode: MarginMode::Isolated,
        side: side(trade.side),
        quantity: quantity(trade)?,
        margin: sats("margin", trade.margin)?,
        maintenance_margin: sats("maintenanceMargin", trade.maintenance_margin)?,
        price: reference,
        entry_price: optional_price("entryPrice", trade.entry_price)?.unwrap_or(reference),
        leverage: trade.leverage,
        liquidation: price("liquidation", trade.liquidation)?,
        stoploss: optional_price("stoploss", trade.stoploss)?,
        takeprofit: optional_price("takeprofit", trade.takeprofit)?,
        trailing_distance: trade
            .stoploss_trailing_distance
            .filter(|distance| *distance > 0.0),
        opening_fee: sats("openingFee", trade.opening_fee)?,
        sum_funding_fees: sats("sumFundingFees", trade.sum_funding_fees)?,
        sum_cash_in_margin: sats("sumCashInMargin", trade.sum_cash_in_margin)?,
        client_id: client_id(trade.client_id.as_deref()),
        created_at: trade.created_at,
    })
}

fn quantity(trade: &wire::Trade) -> Result<Usd, Unreadable> {
    let quantity = whole("quantity", trade.quantity)?;
    if quantity <= 0 {
        return Err(Unreadable(format!("quantity {quantity} is not over zero")));
    }
    Ok(Usd(quantity))
}

/// Whether a trade runs; `running`, `closed` and `canceled` are trusted in that order.
pub(in crate::exchange) fn is_running(trade: &wire::Trade) -> bool {
    trade.running && !trade.closed && !trade.canceled
}

/// Whether an order still waits; `running` outranks `open`.
pub(in crate::exchange) fn is_open(trade: &wire::Trade) -> bool {
    trade.open && !trade.running && !trade.closed && !trade.canceled
}

pub(in crate::exchange) fn open_order(trade: &wire::Trade) -> Result<OpenOrder, Unreadable> {
    Ok(OpenOrder {
        id: PositionId(trade.id),
        side: side(trade.side),
        quantity: quantity(trade)?,
        price: price("price", trade.price)?,
        margin: sats("margin", trade.margin)?,
        client_id: client_id(trade.client_id.as_deref()),
        created_at: trade.created_at,
    })
}

pub(in crate::exchange) fn closed_trade(trade: &wire::Trade) -> Result<ClosedTrade, Unreadable> {
    Ok(ClosedTrade {
        position: position(trade)?,
        pl: sats("pl", trade.pl)?,
        closing_fee: sats("closingFee", trade.closing_fee)?,
        exit_price: optional_price("exitPrice", trade.exit_price)?,
        closed_at: trade.closed_at,
    })
}

/// Funding taken from a trade's margin since a time: costs only, as revenue goes to the balance.
pub(in crate::exchange) fn funding_cost_since(
    fees: &[wire::FundingFee],
    since: DateTime<Utc>,
) -> Result<Sats, Unreadable> {
    fees.iter()
        .filter(|fee| fee.time >= since && fee.fee > 0.0)
        .map(|fee| sats("fee", fee.fee))
        .sum()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const TRADE: &str = r#"{"id":"d0b9f9a0-4f6e-4a5a-8b7a-7f0f5f9a8a1e","type":"market",
        "side":"buy","quantity":1000,"leverage":10.0,"margin":100000,"maintenanceMargin":-11,
        "price":100000,"entryPrice":null,"exitPrice":null,"liquidation":90909.5,"stoploss":0,
        "takeprofit":null,"openingFee":1000,"closingFee":null,"pl":0,"running":true,"open":true,
        "closed":false,"canceled":null,"createdAt":"2026-10-26T16:30:43.123Z","clientId":"",
        "somethingNew":{"a":1}}"#;

    fn parsed(json: &str) -> Result<Position, Unreadable> {
        position(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_trade_with_nulls_zeros_and_unknown_fields_is_read() {
        let position = parsed(TRADE).unwrap();
        assert_eq!(position.maintenance_margin, Sats(-11));
        assert_eq!((position.stoploss, position.takeprofit), (None, None));
        assert_eq!(position.trailing_distance, None);
        assert_eq!(position.entry_price, position.price);
        assert_eq!(position.client_id, None);
        assert!(
            is_running(&serde_json::from_str(TRADE).unwrap()),
            "running outranks open"
        );
    }

    #[test]
    fn a_trailing_stop_keeps_its_distance_and_its_present_price() {
        let trailing = TRADE.replace(
            "\"stoploss\":0",
            "\"stoploss\":98000,\"stoplossTrailingDistance\":0.02",
        );
        let position = parsed(&trailing).unwrap();
        assert_eq!(position.stoploss, Price::from_usd(98_000.0));
        assert_eq!(position.trailing_distance, Some(0.02));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        for (from, to, named) in [
            ("\"quantity\":1000", "\"quantity\":10.5", "quantity"),
            ("\"quantity\":1000", "\"quantity\":0", "quantity"),
            (
                "\"liquidation\":90909.5",
                "\"liquidation\":-1",
                "liquidation",
            ),
            ("\"margin\":100000", "\"margin\":1e300", "margin"),
        ] {
            let error = parsed(&TRADE.replace(from, to)).unwrap_err();
            assert!(error.0.starts_with(named), "{error}");
        }
    }
}
