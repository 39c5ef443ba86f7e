//! What comes next on a stretch of the price's way, at its own price and time.

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};

use super::path::Leg;
use crate::domain::levels::Level;
use crate::domain::position::{Position, Side};
use crate::domain::units::Price;

/// Hours (UTC) between two settlements of funding.
const FUNDING_HOURS: i64 = 8;
/// The exchange's tick, in cents.
const TICK: u64 = 50;

/// What comes next on a leg, the first of several at one price first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Next {
    Liquidation(usize),
    Stoploss(usize),
    Takeprofit(usize),
    Level(usize),
    Wake(usize),
    Funding,
}

/// What may come on the rest of a leg.
pub(super) struct Coming<'a> {
    leg: &'a Leg,
    price: Price,
    now: DateTime<Utc>,
    first: Option<(DateTime<Utc>, Price, Next)>,
}

impl<'a> Coming<'a> {
    /// From a price and a time on the leg.
    pub fn from(leg: &'a Leg, price: Price, now: DateTime<Utc>) -> Self {
        Self {
            leg,
            price,
            now,
            first: None,
        }
    }

    /// What a level brings, if the price meets it.
    pub fn at(&mut self, level: Level, next: Next) {
        let Some(price) = met(level, self.price, self.leg.to) else {
            return;
        };
        let time = if price == self.price {
            self.now
        } else {
            self.leg.time_of(price).max(self.now)
        };
        self.add(time, price, next);
    }

    /// What a time brings, if the leg does not end before it.
    pub fn at_time(&mut self, time: DateTime<Utc>, next: Next) {
        if time > self.leg.end {
            return;
        }
        let time = time.max(self.now);
        let stands = self.leg.is_jump() || time == self.now;
        let price = if stands {
            self.price
        } else {
            self.leg.price_at(time)
        };
        self.add(time, price, next);
    }

    /// What market and owner have set for a position.
    pub fn at_position(&mut self, index: usize, position: &Position) {
        self.at(liquidation(position), Next::Liquidation(index));
        if let Some(stop) = position.stoploss {
            self.at(against(position.side, stop), Next::Stoploss(index));
        }
        if let Some(target) = position.takeprofit {
            let level = against(position.side.opposite(), target);
            self.at(level, Next::Takeprofit(index));
        }
    }

    fn add(&mut self, time: DateTime<Utc>, price: Price, next: Next) {
        let earlier =
            |(first, _, what): (DateTime<Utc>, Price, Next)| (first, what) <= (time, next);
        if !self.first.is_some_and(earlier) {
            self.first = Some((time, price, next));
        }
    }

    /// The first of all, if there is any.
    pub fn first(self) -> Option<(DateTime<Utc>, Price, Next)> {
        self.first
    }
}

/// Where a position of this side is met by a price that goes against it.
fn against(side: Side, price: Price) -> Level {
    match side {
        Side::Buy => Level {
            at_or_below: Some(price),
            at_or_above: None,
        },
        Side::Sell => Level {
            at_or_below: None,
            at_or_above: Some(price),
        },
    }
}

/// A short without a liquidation price is quoted the highest there is.
fn liquidation(position: &Position) -> Level {
    if position.side == Side::Sell && position.liquidation == Price::MAX {
        return Level::default();
    }
    against(position.side, position.liquidation)
}

/// The price, on the tick, at which a way from one price to another first meets a level.
fn met(level: Level, from: Price, to: Price) -> Option<Price> {
    if level.is_reached(from) {
        return Some(from);
    }
    if let Some(below) = level.at_or_below.filter(|below| to <= *below) {
        let tick = Price::from_cents(below.cents() / TICK * TICK).unwrap_or(below);
        return Some(tick.max(to));
    }
    let above = level.at_or_above.filter(|above| to >= *above)?;
    let tick = Price::from_cents(above.cents().div_ceil(TICK) * TICK).unwrap_or(above);
    Some(tick.min(to))
}

/// The settlement after a time.
pub(super) fn next_funding(now: DateTime<Utc>) -> DateTime<Utc> {
    let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
    let passed = i64::from(now.hour()) / FUNDING_HOURS;
    midnight + TimeDelta::hours((passed + 1) * FUNDING_HOURS)
}
