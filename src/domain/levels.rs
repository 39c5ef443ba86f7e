//! Trigger levels: a rule that is monotone in the price is, for each position, two numbers. Kept
//! sorted, a tick costs a look at each end of the table, however many accounts are watched.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::units::Price;

/// Where a rule fires for a position: at or below one price, at or above another. A side that no
/// price of the exchange reaches is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Fires at this price and every lower one.
    pub at_or_below: Option<Price>,
    /// Fires at this price and every higher one.
    pub at_or_above: Option<Price>,
}

impl Level {
    /// Whether a price is on the firing side.
    pub fn is_reached(self, at: Price) -> bool {
        self.at_or_below.is_some_and(|level| at <= level)
            || self.at_or_above.is_some_and(|level| at >= level)
    }

    /// Whether any price of the exchange fires it.
    pub fn is_reachable(self) -> bool {
        self.at_or_below.is_some() || self.at_or_above.is_some()
    }

    /// Fires where either does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            at_or_below: self.at_or_below.max(other.at_or_below),
            at_or_above: match (self.at_or_above, other.at_or_above) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            },
        }
    }

    /// The nearest prices on either side of `at` at which it no longer fires; none where it does
    /// not fire there, or where it fires everywhere on that side.
    #[must_use]
    pub fn released_from(self, at: Price) -> Self {
        let above = |level: Price| Price::from_cents(level.cents() + 1);
        let below = |level: Price| Price::from_cents(level.cents() - 1);
        Self {
            at_or_above: self
                .at_or_below
                .filter(|level| at <= *level)
                .and_then(above),
            at_or_below: self
                .at_or_above
                .filter(|level| at >= *level)
                .and_then(below),
        }
    }

    /// The highest price in the exchange's range at which a condition holds that holds at every
    /// lower price as well; found to the cent by halving, so that level and condition cannot
    /// disagree.
    pub fn falling(condition: impl Fn(Price) -> bool) -> Self {
        Self {
            at_or_below: search(Price::MIN, Price::MAX, condition),
            at_or_above: None,
        }
    }

    /// The lowest price at which a condition holds that holds at every higher price as well.
    pub fn rising(condition: impl Fn(Price) -> bool) -> Self {
        Self {
            at_or_below: None,
            at_or_above: search(Price::MAX, Price::MIN, condition),
        }
    }
}

/// The last cent on the way from `sure` to `far` at which the condition still holds.
fn search(sure: Price, far: Price, condition: impl Fn(Price) -> bool) -> Option<Price> {
    if !condition(sure) {
        return None;
    }
    if condition(far) {
        return Some(far);
    }
    let (mut holds, mut fails) = (sure.cents(), far.cents());
    while holds.abs_diff(fails) > 1 {
        let middle = holds.midpoint(fails);
        match Price::from_cents(middle) {
            Some(price) if condition(price) => holds = middle,
            _ => fails = middle,
        }
    }
    Price::from_cents(holds)
}

/// All levels of a network, sorted. A level that is crossed leaves the table: its owner is woken
/// once and puts it back if it decides that it was not meant.
#[derive(Debug, Default)]
pub struct Levels {
    below: BTreeSet<(Price, u64)>,
    above: BTreeSet<(Price, u64)>,
    by_key: HashMap<u64, Level>,
}

impl Levels {
    /// Sets the level of a key, in place of the one it had.
    pub fn set(&mut self, key: u64, level: Level) {
        self.remove(key);
        if let Some(price) = level.at_or_below {
            self.below.insert((price, key));
        }
        if let Some(price) = level.at_or_above {
            self.above.insert((price, key));
        }
        self.by_key.insert(key, level);
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: u64) {
        if let Some(level) = self.by_key.remove(&key) {
            if let Some(price) = level.at_or_below {
                self.below.remove(&(price, key));
            }
            if let Some(price) = level.at_or_above {
                self.above.remove(&(price, key));
            }
        }
    }

    /// Takes out one key that `at` crosses, the one deepest in its danger first.
    pub fn pop_crossed(&mut self, at: Price) -> Option<u64> {
        let falling = self.below.last().filter(|(price, _)| *price >= at);
        let crossed = falling.or_else(|| self.above.first().filter(|(price, _)| *price <= at));
        let key = crossed.map(|(_, key)| *key)?;
        self.remove(key);
        Some(key)
    }

    /// How many keys are watched.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is watched.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    #[test]
    fn a_level_is_found_to_the_cent_and_an_unreachable_one_is_said() {
        let level = Level::falling(|at| at <= price(93_457.94));
        assert_eq!(level.at_or_below, Some(price(93_457.94)));
        let level = Level::rising(|at| at >= price(107_000.01));
        assert_eq!(level.at_or_above, Some(price(107_000.01)));
        assert!(!Level::rising(|_| false).is_reachable());
    }

    #[test]
    fn a_tick_wakes_whom_it_crosses_once_and_nobody_else() {
        let mut levels = Levels::default();
        for (key, usd) in [(1, 90_000.0), (2, 95_000.0), (3, 85_000.0)] {
            levels.set(
                key,
                Level {
                    at_or_below: Some(price(usd)),
                    at_or_above: None,
                },
            );
        }
        levels.set(
            4,
            Level {
                at_or_below: None,
                at_or_above: Some(price(99_000.0)),
            },
        );
        let crossed = |levels: &mut Levels, usd| {
            std::iter::from_fn(|| levels.pop_crossed(price(usd))).collect::<Vec<_>>()
        };
        assert_eq!(crossed(&mut levels, 95_000.01), Vec::<u64>::new());
        assert_eq!(crossed(&mut levels, 90_000.0), vec![2, 1]);
        assert_eq!(crossed(&mut levels, 90_000.0), Vec::<u64>::new());
        assert_eq!(crossed(&mut levels, 99_000.0), vec![4]);
        levels.set(
            3,
            Level {
                at_or_below: Some(price(80_000.0)),
                at_or_above: None,
            },
        );
        assert_eq!(crossed(&mut levels, 84_000.0), Vec::<u64>::new());
        levels.remove(3);
        assert!(levels.is_empty());
    }

    use proptest::prelude::*;

    const CENTS: std::ops::RangeInclusive<i64> = 100..=10_000_000_000;

    fn level() -> impl Strategy<Value = Level> {
        let side = || proptest::option::of(CENTS);
        (side(), side()).prop_map(|(below, above)| Level {
            at_or_below: below.and_then(|cents| Price::from_cents(cents as u64)),
            at_or_above: above.and_then(|cents| Price::from_cents(cents as u64)),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whoever waits for the release is woken at the first price at which the level no longer
        /// fires, on either side, and at none before.
        #[test]
        fn a_level_is_released_at_the_first_price_at_which_it_does_not_fire(
            level in level(),
            at in CENTS,
            near in -3i64..=3,
        ) {
            let edge = level.at_or_below.or(level.at_or_above).map_or(at, |edge| edge.cents() as i64);
            for cents in [at, edge + near] {
                let Some(at) = u64::try_from(cents).ok().and_then(Price::from_cents) else { continue };
                let released = level.released_from(at);
                if !level.is_reached(at) {
                    prop_assert_eq!(released, Level::default());
                    continue;
                }
                // Where both sides fire no price between them releases.
                for (from, side) in [
                    (released.at_or_above, 1i64),
                    (released.at_or_below, -1i64),
                ] {
                    let Some(from) = from else { continue };
                    let ours = if side > 0 { level.at_or_below } else { level.at_or_above };
                    let before = Price::from_cents((from.cents() as i64 - side) as u64);
                    prop_assert_eq!(before, ours, "the last price that fires");
                    let alone = Level {
                        at_or_below: ours.filter(|_| side > 0),
                        at_or_above: ours.filter(|_| side < 0),
                    };
                    prop_assert!(!alone.is_reached(from));
                    prop_assert!(alone.is_reached(at));
                }
                prop_assert!(released.is_reachable() || !released_somewhere(level, at));
            }
        }
    }

    fn released_somewhere(level: Level, at: Price) -> bool {
        let below = level.at_or_below.filter(|edge| at <= *edge);
        let above = level.at_or_above.filter(|edge| at >= *edge);
        let next = |price: Price, by: i64| Price::from_cents((price.cents() as i64 + by) as u64);
        below.and_then(|edge| next(edge, 1)).is_some()
            || above.and_then(|edge| next(edge, -1)).is_some()
    }
}
