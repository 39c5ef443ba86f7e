//! The topics of the stream.

use std::fmt;

/// Candle ranges by name, with their length in seconds; months have none and stay silent.
pub(super) const RANGES: [(&str, i64); 15] = [
    ("1m", 60),
    ("3m", 180),
    ("5m", 300),
    ("10m", 600),
    ("15m", 900),
    ("30m", 1800),
    ("45m", 2700),
    ("1h", 3600),
    ("2h", 7200),
    ("3h", 10_800),
    ("4h", 14_400),
    ("1d", 86_400),
    ("1w", 604_800),
    ("1month", 0),
    ("3months", 0),
];

const PAIR: &str = "futures/inverse/btc_usd/";

/// Something a socket can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulator) enum Topic {
    Announcements,
    Ticker,
    LastPrice,
    Index,
    Buckets,
    Funding,
    /// Index into [`RANGES`].
    Ohlc(usize),
    IsolatedTrades,
    CrossOrders,
    CrossPosition,
    Deposit,
    Withdrawal,
}

impl Topic {
    pub(super) fn parse(name: &str) -> Option<Topic> {
        match name {
            "announcements" => return Some(Topic::Announcements),
            "wallet/deposit" => return Some(Topic::Deposit),
            "wallet/withdrawal" => return Some(Topic::Withdrawal),
            _ => {}
        }
        match name.strip_prefix(PAIR)? {
            "ticker" => Some(Topic::Ticker),
            "lastPrice" => Some(Topic::LastPrice),
            "index" => Some(Topic::Index),
            "buckets" => Some(Topic::Buckets),
            "funding" => Some(Topic::Funding),
            "isolated/trades" => Some(Topic::IsolatedTrades),
            "cross/orders" => Some(Topic::CrossOrders),
            "cross/position" => Some(Topic::CrossPosition),
            other => {
                let range = other.strip_prefix("ohlc/")?;
                RANGES
                    .iter()
                    .position(|(name, _)| *name == range)
                    .map(Topic::Ohlc)
            }
        }
    }

    /// The scope that a private topic needs; `None` for public ones.
    pub(super) fn scope(self) -> Option<&'static str> {
        match self {
            Topic::IsolatedTrades => Some("futures:isolated:read"),
            Topic::CrossOrders | Topic::CrossPosition => Some("futures:cross:read"),
            Topic::Deposit => Some("account:deposits:read"),
            Topic::Withdrawal => Some("account:withdrawals:read"),
            _ => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = match self {
            Topic::Announcements => return f.write_str("announcements"),
            Topic::Deposit => return f.write_str("wallet/deposit"),
            Topic::Withdrawal => return f.write_str("wallet/withdrawal"),
            Topic::Ohlc(range) => {
                return write!(
                    f,
                    "{PAIR}ohlc/{}",
                    RANGES.get(*range).map_or("", |entry| entry.0)
                );
            }
            Topic::Ticker => "ticker",
            Topic::LastPrice => "lastPrice",
            Topic::Index => "index",
            Topic::Buckets => "buckets",
            Topic::Funding => "funding",
            Topic::IsolatedTrades => "isolated/trades",
            Topic::CrossOrders => "cross/orders",
            Topic::CrossPosition => "cross/position",
        };
        write!(f, "{PAIR}{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let mut topics = vec![
            Topic::Announcements,
            Topic::Ticker,
            Topic::LastPrice,
            Topic::Index,
            Topic::Buckets,
            Topic::Funding,
            Topic::IsolatedTrades,
            Topic::CrossOrders,
            Topic::CrossPosition,
            Topic::Deposit,
            Topic::Withdrawal,
        ];
        topics.extend((0..RANGES.len()).map(Topic::Ohlc));
        for topic in topics {
            assert_eq!(Topic::parse(&topic.to_string()), Some(topic));
        }
        for bad in [
            "",
            "lastPrice",
            "futures/inverse/btc_usd/ohlc/2m",
            "futures/inverse/btc_usd/",
        ] {
            assert_eq!(Topic::parse(bad), None, "{bad}");
        }
    }
}
