//! The second leg of a reduction: the exchange cannot reduce a trade, so it is closed and what is
//! kept is opened again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::maths;
use crate::domain::maths::fees::{self, FeeTier, Reserve};
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
    /// Which of its stops the exchange would not have taken.
    #[serde(default)]
    pub left_out: LeftOut,
}

/// Stops of a trade that it is opened again without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its fixed stop-loss.
    pub stoploss: bool,
    /// Its take-profit.
    pub takeprofit: bool,
}

impl LeftOut {
    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let named = [(self.stoploss, "stoploss"), (self.takeprofit, "takeprofit")];
        named
            .into_iter()
            .filter_map(|(left_out, name)| left_out.then_some(name))
            .collect()
    }
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
            left_out: LeftOut::default(),
        }
    }

    /// Why it may no longer be sent, if so. While no source confirms the price only its age counts:
    /// it is not sent then either.
    pub fn refusal(&self, price: Option<Price>, now: DateTime<Utc>) -> Option<String> {
        let age = (now - self.closed_at).to_std().unwrap_or_default();
        if age > MOST_AGE {
            return Some(format!(
                "the trade was closed {} s ago, more than {} s",
                age.as_secs(),
                MOST_AGE.as_secs()
            ));
        }
        let moved = price?.usd() / self.closed_at_price.usd() - 1.0;
        (moved.abs() > MOST_MOVE).then(|| {
            format!(
                "the price has moved by {:.2} % since the trade was closed, more than {} %",
                moved * 100.0,
                MOST_MOVE * 100.0
            )
        })
    }

    /// The same with only those stops that the exchange would take at this price.
    #[must_use]
    pub fn with_valid_stops(self, price: Price) -> Self {
        let (stoploss, takeprofit) = stops_in_range(
            self.side,
            self.quantity,
            self.leverage,
            price,
            self.stoploss,
            self.takeprofit,
        );
        Self {
            stoploss,
            takeprofit,
            left_out: LeftOut {
                stoploss: self.left_out.stoploss || stoploss != self.stoploss,
                takeprofit: self.left_out.takeprofit || takeprofit != self.takeprofit,
            },
            ..self
        }
    }
}

/// Of what is to be kept of a trade, as much as the balance and what its close returns can pay for at
/// this price, or one that has moved as far as a second leg allows; an unknown balance does not cap
/// it. What could not be paid for would end as closed and not opened again.
pub fn affordable(closed: &Position, keep: Usd, price: Price, balance: Option<Sats>) -> Usd {
    let Some(balance) = balance else { return keep };
    let closing_fee = fees::trading_fee(closed.quantity, price, FeeTier::One);
    let pl = maths::pl(closed, price);
    let returned = fees::credit(closed.margin, closed.maintenance_margin, closing_fee, pl);
    let free = (balance + returned).or_zero();
    let leverage = closed.leverage.clamp(1.0, MOST_LEVERAGE);
    let is_paid_by = |quantity: Usd| {
        let margin = maths::isolated::margin(quantity, price, leverage);
        let liquidation = maths::liquidation(closed.side, quantity, price, margin);
        let debit = Reserve::of(quantity, price, liquidation).debit(margin);
        debit.0 as f64 * (1.0 + MOST_MOVE) <= free.0 as f64
    };
    let (mut paid, mut unpaid) = (0, keep.0 + 1);
    while unpaid - paid > 1 {
        let middle = paid + (unpaid - paid) / 2;
        if is_paid_by(Usd(middle)) {
            paid = middle;
        } else {
            unpaid = middle;
        }
    }
    Usd(paid)
}

/// Whether a trade that ended at this price was ended by the exchange: at its stop-loss, its
/// take-profit or its liquidation, none of which a market order could have reached before.
pub fn ended_by_itself(closed: &Position, exit: Price) -> bool {
    let (fallen, risen) = match closed.side {
        Side::Buy => (
            closed.stoploss.max(Some(closed.liquidation)),
            closed.takeprofit,
        ),
        Side::Sell => {
            let stop = closed.stoploss.unwrap_or(closed.liquidation);
            (closed.takeprofit, Some(stop.min(closed.liquidation)))
        }
    };
    fallen.is_some_and(|level| exit <= level) || risen.is_some_and(|level| exit >= level)
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
        assert_eq!(leg.refusal(None, after(30)), None, "the price may come yet");
        assert!(leg.refusal(None, after(31)).is_some());
    }

    #[test]
    fn stops_that_the_exchange_would_refuse_are_left_out_and_named() {
        let valid = reopening().with_valid_stops(price(95_000.0));
        assert_eq!(valid, reopening());
        let valid = reopening().with_valid_stops(price(90_500.0));
        assert_eq!(
            (valid.stoploss, valid.takeprofit),
            (None, Some(price(110_000.0)))
        );
        assert_eq!(valid.left_out.names(), ["stoploss"]);
        let later = valid.with_valid_stops(price(95_000.0));
        assert_eq!(later.left_out.names(), ["stoploss"], "a second look");
    }

    /// 10,000 USD of 10x that have lost 752,688 of 1,000,000 return 247,312, and what was set aside.
    #[test]
    fn no_more_is_kept_than_can_be_paid_for() {
        let trade = Position::sample(Side::Buy, 10_000, 100_000.0, 10);
        let keep = |balance: Option<i64>| {
            affordable(&trade, Usd(5000), price(93_000.0), balance.map(Sats)).0
        };
        assert_eq!(keep(None), 5000);
        assert_eq!(keep(Some(1_000_000)), 5000);
        let poor = keep(Some(0));
        assert!((2000..2350).contains(&poor), "{poor}");
        assert!(keep(Some(10_000)) > poor);
        assert_eq!(
            affordable(&trade, Usd(5000), trade.liquidation, Some(Sats(-20_000))),
            Usd(0)
        );
    }

    #[test]
    fn a_trade_that_ended_at_its_stops_or_liquidation_was_not_closed_by_hand() {
        let mut trade = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        assert!(!ended_by_itself(&trade, price(95_000.0)));
        trade.stoploss = Some(price(95_000.0));
        trade.takeprofit = Some(price(110_000.0));
        assert!(!ended_by_itself(&trade, price(95_000.5)));
        assert!(ended_by_itself(&trade, price(95_000.0)));
        assert!(ended_by_itself(&trade, price(110_000.0)));
        trade.stoploss = None;
        assert!(ended_by_itself(&trade, trade.liquidation));
        let mut short = Position::sample(Side::Sell, 1000, 100_000.0, 10);
        short.stoploss = Some(price(105_000.0));
        assert!(!ended_by_itself(&short, price(104_999.5)));
        assert!(ended_by_itself(&short, price(105_000.0)));
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
