//! The second leg of a reduction: the exchange cannot reduce a trade, so it is closed and what is
//! kept is opened again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::maths;
use crate::domain::position::{Position, Side};
use crate::domain::units::{Price, Sats, Usd};

/// A second leg that comes later than this after the first is not sent.
pub const MOST_AGE: Duration = Duration::from_secs(30);
/// Nor one before which the price has moved by more than this share.
pub const MOST_MOVE: f64 = 0.005;
const MOST_LEVERAGE: f64 = 100.0;

/// What is opened again after the first leg.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reopening {
    /// The side of the trade that was closed.
    pub side: Side,
    /// What is kept of it, in whole USD.
    pub quantity: Usd,
    /// Its leverage, at most 100.
    pub leverage: f64,
    /// Its stop-loss, where it was a fixed one.
    pub stoploss: Option<Price>,
    /// The distance of its stop-loss, where that trailed.
    pub trailing_distance: Option<f64>,
    /// Its take-profit.
    pub takeprofit: Option<Price>,
    /// The price at which the first leg closed it.
    pub closed_at_price: Price,
    /// When that was, in exchange time.
    pub closed_at: DateTime<Utc>,
}

impl Reopening {
    /// What is opened again of a trade that was closed.
    pub fn of(closed: &Position, keep: Usd, price: Price, now: DateTime<Utc>) -> Self {
        Self {
            side: closed.side,
            quantity: keep,
            leverage: closed.leverage.clamp(1.0, MOST_LEVERAGE),
            stoploss: closed
                .stoploss
                .filter(|_| closed.trailing_distance.is_none()),
            trailing_distance: closed.trailing_distance,
            takeprofit: closed.takeprofit,
            closed_at_price: price,
            closed_at: now,
        }
    }

    /// Why it may no longer be sent, if so.
    pub fn refusal(&self, price: Option<Price>, now: DateTime<Utc>) -> Option<String> {
        let age = (now - self.closed_at).to_std().unwrap_or_default();
        if age > MOST_AGE {
            return Some(format!(
                "the trade was closed {} s ago, more than {} s",
                age.as_secs(),
                MOST_AGE.as_secs()
            ));
        }
        let Some(price) = price else {
            return Some("no source confirms the price".to_owned());
        };
        let moved = price.usd() / self.closed_at_price.usd() - 1.0;
        (moved.abs() > MOST_MOVE).then(|| {
            format!(
                "the price has moved by {:.2} % since the trade was closed, more than {} %",
                moved * 100.0,
                MOST_MOVE * 100.0
            )
        })
    }

    /// The same with only those stops that the exchange would take at this price, and the names of
    /// those that are left out.
    #[must_use]
    pub fn with_valid_stops(self, price: Price) -> (Self, Vec<&'static str>) {
        let (stoploss, takeprofit) = stops_in_range(
            self.side,
            self.quantity,
            self.leverage,
            price,
            self.stoploss,
            self.takeprofit,
        );
        let mut left_out = vec![];
        if stoploss != self.stoploss {
            left_out.push("stoploss");
        }
        if takeprofit != self.takeprofit {
            left_out.push("takeprofit");
        }
        let valid = Self {
            stoploss,
            takeprofit,
            ..self
        };
        (valid, left_out)
    }
}

/// Of the stops of a trade to be opened at a price, those within the exchange's range: a long's
/// stop-loss from liquidation to under the price, its take-profit over the price; a short's
/// mirrored.
pub fn stops_in_range(
    side: Side,
    quantity: Usd,
    leverage: f64,
    price: Price,
    stoploss: Option<Price>,
    takeprofit: Option<Price>,
) -> (Option<Price>, Option<Price>) {
    let margin = Sats((maths::notional(quantity, price).0 as f64 / leverage) as i64);
    let liquidation = maths::liquidation(side, quantity, price, margin);
    let stoploss = stoploss.filter(|stop| match side {
        Side::Buy => (liquidation..price).contains(stop),
        Side::Sell => *stop > price && *stop <= liquidation,
    });
    let takeprofit = takeprofit.filter(|target| match side {
        Side::Buy => *target > price,
        Side::Sell => *target < price,
    });
    (stoploss, takeprofit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    fn reopening() -> Reopening {
        let mut closed = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        closed.stoploss = Some(price(91_000.0));
        closed.takeprofit = Some(price(110_000.0));
        Reopening::of(&closed, Usd(500), price(95_000.0), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_second_leg_that_comes_late_or_after_the_price_has_moved_is_refused() {
        let leg = reopening();
        let after = |seconds| DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds);
        assert_eq!(leg.refusal(Some(price(95_475.0)), after(30)), None);
        assert!(leg.refusal(Some(price(95_475.5)), after(1)).is_some());
        assert!(leg.refusal(Some(price(94_524.5)), after(1)).is_some());
        assert!(leg.refusal(Some(price(95_000.0)), after(31)).is_some());
        assert!(leg.refusal(None, after(1)).is_some());
    }

    #[test]
    fn stops_that_the_exchange_would_refuse_are_left_out_and_named() {
        let (valid, left_out) = reopening().with_valid_stops(price(95_000.0));
        assert_eq!((valid, left_out), (reopening(), vec![]));
        let (valid, left_out) = reopening().with_valid_stops(price(90_500.0));
        assert_eq!(
            (valid.stoploss, valid.takeprofit),
            (None, Some(price(110_000.0)))
        );
        assert_eq!(left_out, ["stoploss"]);
    }

    #[test]
    fn a_trailing_stop_stays_a_trailing_one() {
        let mut closed = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        closed.stoploss = Some(price(91_000.0));
        closed.trailing_distance = Some(0.02);
        let leg = Reopening::of(&closed, Usd(500), price(95_000.0), DateTime::UNIX_EPOCH);
        assert_eq!((leg.stoploss, leg.trailing_distance), (None, Some(0.02)));
    }
}
