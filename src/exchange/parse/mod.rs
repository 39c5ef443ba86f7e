//! From the wire to the domain. What cannot be read is an error that names the field; it is never
//! taken for a value.

mod account;
mod cross;
mod frame;
mod isolated;
mod list;

use super::text::tidy;
use super::wire;
use crate::domain::position::Side;
use crate::domain::units::{Price, Sats};

pub use account::{AccountReading, Ticker};
pub(super) use account::{account, ticker};
pub use cross::{CrossOrder, CrossReading, Transfer};
pub(super) use cross::{cross, order, transfers_since};
pub use frame::Frame;
pub(super) use frame::frame;
pub use isolated::{ClosedTrade, OpenOrder};
pub(super) use isolated::{
    closed_trade, funding_cost_since, is_open, is_running, open_order, position,
};
pub use list::{OpenOrders, Running, UnreadableTrade};
pub(super) use list::{find, open_orders, running};

/// Why a piece of JSON cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        // It may quote what was read.
        Self(tidy(&error.to_string()))
    }
}

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

fn sats(field: &'static str, number: f64) -> Result<Sats, Unreadable> {
    whole(field, number).map(Sats)
}

fn side(side: wire::Side) -> Side {
    match side {
        wire::Side::Buy => Side::Buy,
        wire::Side::Sell => Side::Sell,
    }
}

/// An empty client id is none.
fn client_id(id: Option<&str>) -> Option<String> {
    id.filter(|id| !id.is_empty()).map(tidy)
}
