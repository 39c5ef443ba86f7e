//! The way the price takes through a series of candles.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::units::Price;
use crate::simulator::Candle;

/// How long a candle lasts that has no neighbour to tell.
const DEFAULT_CANDLE_MS: i64 = 60_000;
/// A candle's prices are joined by so many stretches.
const STRETCHES: i32 = 3;

/// A stretch on which the price moves evenly, or jumps where it takes no time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Leg {
    pub from: Price,
    pub to: Price,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Leg {
    /// Whether nothing lies between its prices: nobody could have acted there.
    pub fn is_jump(&self) -> bool {
        self.start == self.end
    }

    /// When it comes by a price between its two.
    pub fn time_of(&self, price: Price) -> DateTime<Utc> {
        let (from, to) = (self.from.usd(), self.to.usd());
        if from == to {
            return self.start;
        }
        let share = ((price.usd() - from) / (to - from)).clamp(0.0, 1.0);
        let length = (self.end - self.start).num_milliseconds() as f64;
        self.start + TimeDelta::milliseconds((length * share) as i64)
    }

    /// Where it is at a time, on the tick.
    pub fn price_at(&self, time: DateTime<Utc>) -> Price {
        let length = (self.end - self.start).num_milliseconds().max(1) as f64;
        let share = (time - self.start).num_milliseconds() as f64 / length;
        let cents = self.from.cents() as f64
            + (self.to.cents() as f64 - self.from.cents() as f64) * share.clamp(0.0, 1.0);
        Price::to_tick(cents.round() as u128)
    }
}

/// The legs of the candle at `index`: a jump from the close before it, then through its prices, the
/// extreme that lies against the candle's direction first. The same way the exchange simulator
/// prints them.
pub(super) fn legs(candles: &[Candle], index: usize) -> Option<Vec<Leg>> {
    let candle = candles.get(index)?;
    let start = DateTime::from_timestamp_millis(candle.time)?;
    let length = length(candles, index);
    let prices = if candle.close < candle.open {
        [candle.open, candle.high, candle.low, candle.close]
    } else {
        [candle.open, candle.low, candle.high, candle.close]
    };
    let mut points = vec![];
    for usd in prices {
        points.push(Price::from_usd(usd)?);
    }
    let mut legs = vec![];
    let before = index
        .checked_sub(1)
        .and_then(|before| candles.get(before))
        .and_then(|before| Price::from_usd(before.close));
    if let (Some(from), Some(to)) = (before, points.first()) {
        legs.push(Leg {
            from,
            to: *to,
            start,
            end: start,
        });
    }
    for (number, pair) in (0..).zip(points.windows(2)) {
        let [from, to] = pair else { continue };
        legs.push(Leg {
            from: *from,
            to: *to,
            start: start + length * number / STRETCHES,
            end: start + length * (number + 1) / STRETCHES,
        });
    }
    Some(legs)
}

/// A candle lasts until the next one, the last one as long as the one before it; one before a hole
/// in the series not longer than its predecessor.
fn length(candles: &[Candle], index: usize) -> TimeDelta {
    let gap = |index: usize| {
        let (one, next) = (candles.get(index)?, candles.get(index + 1)?);
        Some(next.time - one.time).filter(|ms| *ms > 0)
    };
    let before = index.checked_sub(1).and_then(gap);
    let own = match (gap(index), before) {
        (Some(own), Some(before)) => own.min(before),
        (own, before) => own.or(before).unwrap_or(DEFAULT_CANDLE_MS),
    };
    TimeDelta::milliseconds(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(time: i64, open: f64, high: f64, low: f64, close: f64) -> Candle {
        Candle {
            time,
            open,
            high,
            low,
            close,
        }
    }

    #[test]
    fn the_price_takes_the_way_that_the_simulator_prints() {
        let candles = [
            candle(0, 100.0, 105.0, 90.0, 95.0),
            candle(60_000, 96.0, 110.0, 94.0, 100.0),
        ];
        let path = |index| {
            let legs = legs(&candles, index).unwrap();
            let prices = legs.iter().map(|leg| (leg.from.usd(), leg.to.usd()));
            prices.collect::<Vec<_>>()
        };
        assert_eq!(path(0), [(100.0, 105.0), (105.0, 90.0), (90.0, 95.0)]);
        let second = [(95.0, 96.0), (96.0, 94.0), (94.0, 110.0), (110.0, 100.0)];
        assert_eq!(path(1), second);
        let legs = legs(&candles, 1).unwrap();
        assert!(legs[0].is_jump() && !legs[1].is_jump());
        assert_eq!(legs[3].end.timestamp_millis(), 120_000);
    }

    #[test]
    fn a_price_between_is_met_at_its_time_and_a_time_at_its_price() {
        let leg = Leg {
            from: Price::from_usd(100.0).unwrap(),
            to: Price::from_usd(90.0).unwrap(),
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH + TimeDelta::seconds(20),
        };
        let half = Price::from_usd(95.0).unwrap();
        assert_eq!(leg.time_of(half).timestamp(), 10);
        assert_eq!(
            leg.price_at(DateTime::UNIX_EPOCH + TimeDelta::seconds(10)),
            half
        );
    }
}
