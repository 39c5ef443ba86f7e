//! How near an account is to liquidation, as one number to compare accounts by.

use std::cmp::Ordering;

use super::maths;
use super::position::Position;
use super::units::Price;

/// Nearer than this share of the price, all are equally near: what decides there is the guard, not
/// the order of sockets.
const LEAST_DISTANCE: f64 = 1e-3;

/// How near an account is to liquidation: one over the distance of its nearest position, as a
/// fraction of the price; 0 for one without positions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearness(f64);

impl Nearness {
    /// Of an account without positions.
    pub const NONE: Self = Self(0.0);

    /// Of an account with these positions, at this price.
    pub fn of<'a>(positions: impl Iterator<Item = &'a Position>, at: Price) -> Self {
        let near = |position| {
            let distance = maths::liquidation_distance(position, at);
            Self(1.0 / distance.max(LEAST_DISTANCE))
        };
        positions
            .map(near)
            .max_by(Self::compare)
            .unwrap_or(Self::NONE)
    }

    /// Whether it is nearer than another, and at least so many times as near.
    pub fn is_times(self, factor: f64, other: Self) -> bool {
        self.0 > other.0 && self.0 >= factor * other.0
    }

    /// The nearer one is the greater one.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::Side;
    use super::*;

    #[test]
    fn the_nearest_position_counts_and_none_is_farther_than_any() {
        let at = Price::from_usd(97_000.0).unwrap();
        let near = Position::sample(Side::Buy, 1000, 100_000.0, 20);
        let far = Position::sample(Side::Buy, 1000, 100_000.0, 2);
        let of = |positions: &[Position]| Nearness::of(positions.iter(), at);
        let both = of(&[far.clone(), near.clone()]);
        assert_eq!(both, of(std::slice::from_ref(&near)));
        assert!(both.is_times(3.0, of(std::slice::from_ref(&far))));
        assert!(of(std::slice::from_ref(&far)).is_times(3.0, of(&[])));
        assert!(!of(&[]).is_times(3.0, of(&[])));
        assert!(!of(std::slice::from_ref(&far)).is_times(3.0, of(std::slice::from_ref(&far))));
        let past = Price::from_usd(90_000.0).unwrap();
        assert!(Nearness::of([near].iter(), past).is_times(3.0, both));
    }
}
