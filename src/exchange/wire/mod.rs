//! The exchange's JSON, as it comes: unknown fields are ignored, optional ones may be missing or
//! null, numbers may be whole or not.

mod cross;
mod isolated;
mod stream;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::position;

pub(super) use cross::{Amount, CrossMarketOrder, CrossOrder, CrossPosition, Leverage, Transfer};
pub(super) use isolated::{FundingFee, Id, IdAmount, MarketOrder, Stoploss, Takeprofit, Trade};
pub(super) use stream::{
    Incoming, LastPrice, LoggedIn, Login, Push, Request, StreamError, Subscribed, Topics, TradePush,
};

/// An item of a list that is read one by one, so that one that cannot be read spoils no other.
pub(super) type Raw = Box<RawValue>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Buy,
    Sell,
}

pub(super) fn side(side: position::Side) -> Side {
    match side {
        position::Side::Buy => Side::Buy,
        position::Side::Sell => Side::Sell,
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub data: Vec<T>,
    /// Where the next page begins; none after the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// What tells items of a list apart.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub id: uuid::Uuid,
    #[serde(default)]
    pub client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticker {
    pub last_price: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub balance: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Holder {
    pub id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A number as JavaScript writes it: `10`, never `10.0`. The exchange may verify signatures over
/// what it would write itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() <= EXACT {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// A number that may be missing or null where it is zero.
fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A flag that may be missing or null where it is not set.
fn or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (number, written) in [
            (10.0, "10"),
            (2.5, "2.5"),
            (0.001, "0.001"),
            (99.999_99, "99.99999"),
        ] {
            assert_eq!(serde_json::to_string(&Number(number)).unwrap(), written);
        }
    }
}
