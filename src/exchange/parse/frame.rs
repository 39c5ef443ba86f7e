//! What a push on the stream says.

use super::{Unreadable, price};
use crate::domain::book::TradeEvent;
use crate::domain::ids::PositionId;
use crate::domain::units::Price;
use crate::exchange::text::tidy;
use crate::exchange::wire;

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
    /// Something happened to the cross position or to its orders: it must be read. Whatever the
    /// push says of it is a hint and no more, also that nothing is left of it.
    Cross,
}

/// Reads a push. `None`: a topic or an event that means nothing here.
pub(in crate::exchange) fn frame(topic: &str, data: &str) -> Result<Option<Frame>, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable(tidy(&format!("{topic}: {error}")));
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
    if topic.ends_with("/cross/orders") || topic.ends_with("/cross/position") {
        // Whatever it holds: reading the position is always right.
        return Ok(Some(Frame::Cross));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (event, read) in [
            ("stoploss", TradeEvent::Gone),
            ("funding", TradeEvent::Dirty),
            ("novelty", TradeEvent::Dirty),
        ] {
            assert_eq!(trade(event), Some(Frame::Trade { id, event: read }));
        }
        assert_eq!(frame("announcements", "{}"), Ok(None));
        assert!(frame("futures/inverse/btc_usd/lastPrice", r#"{"time":5}"#).is_err());
    }

    /// The protocol sheet's, section 9, and stranger ones.
    #[test]
    fn every_push_about_cross_is_a_hint_to_read() {
        let order = r#"{"pair":"btc_usd","event":"new","order":{"id":"be4f36fe-0000-4f77-838d-d1df26f216e1","side":"buy","type":"market","quantity":2,"price":68020.5,"tradingFee":2,"clientId":null,"createdAt":1793032243123,"filledAt":1793032243123}}"#;
        let position = r#"{"pair":"btc_usd","event":"leverage","position":{"quantity":0,"leverage":5,"margin":4000,"entryPrice":null,"liquidation":null,"updatedAt":1793032260000}}"#;
        for (topic, data) in [
            ("futures/inverse/btc_usd/cross/orders", order),
            ("futures/inverse/btc_usd/cross/position", position),
            (
                "futures/inverse/btc_usd/cross/position",
                r#"{"event":"novelty"}"#,
            ),
            ("futures/inverse/btc_usd/cross/orders", "[]"),
        ] {
            assert_eq!(frame(topic, data), Ok(Some(Frame::Cross)), "{data}");
        }
    }
}
