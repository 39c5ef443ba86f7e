//! Which positions are read often: those near a trigger or liquidation.

use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::Position;
use crate::domain::units::Price;

/// Within this share of the price, a trigger level counts as near.
const NEAR_TRIGGER: f64 = 0.01;
/// Within this share of the price, liquidation counts as near.
const NEAR_LIQUIDATION: f64 = 0.03;

/// Whether a position is near one of its triggers or its liquidation, and so read often.
pub fn is_near(position: &Position, levels: &[Level], at: Price) -> bool {
    let close_to = |level: Price| (level.usd() - at.usd()).abs() / at.usd() <= NEAR_TRIGGER;
    maths::liquidation_distance(position, at) <= NEAR_LIQUIDATION
        || levels.iter().any(|level| {
            level.is_reached(at)
                || level.at_or_below.is_some_and(close_to)
                || level.at_or_above.is_some_and(close_to)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::Side;

    #[test]
    fn nearness_is_measured_to_triggers_and_to_liquidation() {
        let long = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let price = |usd| Price::from_usd(usd).unwrap();
        let level = Level {
            at_or_below: Some(price(95_000.0)),
            at_or_above: None,
        };
        assert!(!is_near(&long, &[level], price(97_000.0)));
        assert!(is_near(&long, &[level], price(95_900.0)));
        assert!(is_near(&long, &[level], price(94_000.0)));
        assert!(is_near(&long, &[], price(93_500.0)));
    }
}
