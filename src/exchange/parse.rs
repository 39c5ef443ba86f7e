//! From the wire to the domain. What cannot be read is an error that names the field; it is never
//! taken for a value.

use chrono::{DateTime, Utc};

use super::wire;
use crate::domain::book::TradeEvent;
use crate::domain::ids::PositionId;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats, Usd};

/// A price as the ticker gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticker {
    /// The last price.
    pub last: Price,
}

/// What `GET /account` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountReading {
    /// Satoshis free for new margin.
    pub balance: Sats,
}

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
}

/// What a push on the stream says.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The last price, dated by the exchange in milliseconds.
    LastPrice {
        /// The price.
        price: Price,
        /// Its time.
        time_ms: i64,
    },
    /// An event of an isolated trade.
    Trade {
        /// The trade.
        id: PositionId,
        /// What became of it.
        event: TradeEvent,
    },
}

/// Why a piece of JSON cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub String);

fn price(field: &'static str, usd: f64) -> Result<Price, Unreadable> {
    Price::from_usd(usd).ok_or_else(|| Unreadable(format!("{field} {usd} is no price")))
}

fn optional_price(field: &'static str, usd: Option<f64>) -> Result<Option<Price>, Unreadable> {
    match usd {
        None | Some(0.0) => Ok(None),
        Some(usd) => price(field, usd).map(Some),
    }
}

/// Amounts are whole; a fraction would be a change of protocol, so it is refused, not rounded.
fn whole(field: &'static str, number: f64) -> Result<i64, Unreadable> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= MOST {
        Ok(number as i64)
    } else {
        Err(Unreadable(format!("{field} {number} is no whole number")))
    }
}

pub(super) fn position(trade: &wire::Trade) -> Result<Position, Unreadable> {
    let sats = |field, number| whole(field, number).map(Sats);
    let reference = price("price", trade.price)?;
    let quantity = whole("quantity", trade.quantity)?;
    if quantity <= 0 {
        return Err(Unreadable(format!("quantity {quantity} is not over zero")));
    }
    Ok(Position {
        id: PositionId(trade.id),
        mode: MarginMode::Isolated,
        side: match trade.side {
            wire::Side::Buy => Side::Buy,
            wire::Side::Sell => Side::Sell,
        },
        quantity: Usd(quantity),
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
        client_id: trade.client_id.clone().filter(|id| !id.is_empty()),
        created_at: trade.created_at,
    })
}

/// Whether a trade runs; `running`, `closed` and `canceled` are trusted in that order.
pub(super) fn is_running(trade: &wire::Trade) -> bool {
    trade.running && !trade.closed && !trade.canceled
}

pub(super) fn closed_trade(trade: &wire::Trade) -> Result<ClosedTrade, Unreadable> {
    Ok(ClosedTrade {
        position: position(trade)?,
        pl: Sats(whole("pl", trade.pl)?),
        closing_fee: Sats(whole("closingFee", trade.closing_fee)?),
        exit_price: optional_price("exitPrice", trade.exit_price)?,
    })
}

pub(super) fn ticker(ticker: &wire::Ticker) -> Result<Ticker, Unreadable> {
    Ok(Ticker {
        last: price("lastPrice", ticker.last_price)?,
    })
}

pub(super) fn account(account: &wire::Account) -> Result<AccountReading, Unreadable> {
    Ok(AccountReading {
        balance: Sats(whole("balance", account.balance)?),
    })
}

/// Funding taken from a trade's margin since a time: costs only, as revenue goes to the balance.
pub(super) fn funding_cost_since(
    fees: &[wire::FundingFee],
    since: DateTime<Utc>,
) -> Result<Sats, Unreadable> {
    fees.iter()
        .filter(|fee| fee.time >= since && fee.fee > 0.0)
        .map(|fee| whole("fee", fee.fee).map(Sats))
        .sum()
}

/// Reads a push. `None`: a topic or an event that means nothing here.
pub(super) fn frame(topic: &str, data: &str) -> Result<Option<Frame>, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable(format!("{topic}: {error}"));
    if topic.ends_with("/lastPrice") {
        let last: wire::LastPrice = serde_json::from_str(data).map_err(unreadable)?;
        let price = price("lastPrice", last.last_price)?;
        return Ok(Some(Frame::LastPrice {
            price,
            time_ms: last.time,
        }));
    }
    if topic.ends_with("/isolated/trades") {
        let push: wire::TradePush = serde_json::from_str(data).map_err(unreadable)?;
        let event = match push.event.as_str() {
            "closed" | "canceled" | "liquidation" | "stoploss" | "takeprofit" => TradeEvent::Gone,
            // Also what is not known yet: reading the trade is always right.
            _ => TradeEvent::Dirty,
        };
        return Ok(Some(Frame::Trade {
            id: PositionId(push.trade.id),
            event,
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = r#"{"id":"d0b9f9a0-4f6e-4a5a-8b7a-7f0f5f9a8a1e","type":"market",
        "side":"buy","quantity":1000,"leverage":10.0,"margin":100000,"maintenanceMargin":-11,
        "price":100000,"entryPrice":null,"exitPrice":null,"liquidation":90909.5,"stoploss":0,
        "takeprofit":null,"openingFee":1000,"closingFee":0,"pl":0,"running":true,"open":true,
        "closed":false,"canceled":false,"createdAt":"2026-10-26T16:30:43.123Z","clientId":"",
        "somethingNew":{"a":1}}"#;

    fn parsed(json: &str) -> Result<Position, Unreadable> {
        position(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_trade_with_nulls_zeros_and_unknown_fields_is_read() {
        let position = parsed(TRADE).unwrap();
        assert_eq!(position.maintenance_margin, Sats(-11));
        assert_eq!((position.stoploss, position.takeprofit), (None, None));
        assert_eq!(position.entry_price, position.price);
        assert_eq!(position.client_id, None);
        assert!(
            is_running(&serde_json::from_str(TRADE).unwrap()),
            "running outranks open"
        );
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

    #[test]
    fn pushes_are_read_and_strange_ones_are_skipped_or_refused() {
        let last = frame(
            "futures/inverse/btc_usd/lastPrice",
            r#"{"time":5,"lastPrice":68020.5}"#,
        );
        let price = Price::from_usd(68_020.5).unwrap();
        assert_eq!(last, Ok(Some(Frame::LastPrice { price, time_ms: 5 })));
        let trade = |event: &str| {
            let data = format!(
                r#"{{"pair":"btc_usd","event":"{event}","trade":{{"id":"{}"}}}}"#,
                uuid::Uuid::nil()
            );
            frame("futures/inverse/btc_usd/isolated/trades", &data).unwrap()
        };
        let id = PositionId(uuid::Uuid::nil());
        assert_eq!(
            trade("stoploss"),
            Some(Frame::Trade {
                id,
                event: TradeEvent::Gone
            })
        );
        assert_eq!(
            trade("funding"),
            Some(Frame::Trade {
                id,
                event: TradeEvent::Dirty
            })
        );
        assert_eq!(
            trade("novelty"),
            Some(Frame::Trade {
                id,
                event: TradeEvent::Dirty
            })
        );
        assert_eq!(frame("announcements", "{}"), Ok(None));
        assert!(frame("futures/inverse/btc_usd/lastPrice", r#"{"time":5}"#).is_err());
    }
}
