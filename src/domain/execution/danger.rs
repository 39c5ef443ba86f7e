//! How urgent an execution is.

use crate::domain::maths;
use crate::domain::position::Position;
use crate::domain::rules::RuleKind;
use crate::domain::units::Price;

/// How urgent an execution is; the greatest goes first: margin guard, then TP/SL, then entries;
/// among equals the nearest to liquidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Danger {
    class: u8,
    nearness: i64,
}

impl Danger {
    /// Of an execution of a rule for a position, or for none.
    pub fn of(kind: RuleKind, position: Option<&Position>, at: Price) -> Self {
        let nearness = position.map_or(i64::MIN, |position| {
            let parts_per_million = maths::liquidation_distance(position, at) * 1e6;
            -(parts_per_million as i64)
        });
        Self {
            class: class(kind),
            nearness,
        }
    }

    /// Of one whose position is not known yet, as after a restart.
    pub fn unknown(kind: RuleKind) -> Self {
        Self {
            class: class(kind),
            nearness: i64::MIN,
        }
    }
}

fn class(kind: RuleKind) -> u8 {
    match kind {
        RuleKind::MarginGuard => 3,
        RuleKind::TpSl => 2,
        RuleKind::AutoEntry => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::Side;

    #[test]
    fn the_nearer_to_liquidation_the_greater_the_danger_within_a_kind() {
        let near = Position::sample(Side::Buy, 1000, 100_000.0, 20);
        let far = Position::sample(Side::Buy, 1000, 100_000.0, 5);
        let at = Price::from_usd(97_000.0).unwrap();
        let guard = |position| Danger::of(RuleKind::MarginGuard, Some(position), at);
        assert!(guard(&near) > guard(&far));
        assert!(guard(&far) > Danger::of(RuleKind::TpSl, Some(&near), at));
        assert!(Danger::unknown(RuleKind::TpSl) > Danger::of(RuleKind::AutoEntry, None, at));
    }
}
