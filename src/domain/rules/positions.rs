//! Which positions a rule is for: all, or those that it names, and the successors of those.

use std::collections::HashMap;

use serde_json::Value;

use super::fields::Fields;
use crate::domain::ids::PositionId;
use crate::domain::position::{MarginMode, Position};

/// The positions that a rule is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Positions {
    /// Every position of the account.
    #[default]
    All,
    /// Those that are named, by id or by margin mode.
    These {
        /// By id.
        ids: Vec<PositionId>,
        /// All of a margin mode.
        modes: Vec<MarginMode>,
    },
}

impl Positions {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Option<Self> {
        const FIELD: &str = "positions";
        const ALLOWED: &str =
            "a list of trade ids, or of the words isolated and cross; leave it out for all";
        let Some(value) = fields.get(FIELD) else {
            return Some(Self::All);
        };
        let named = value.as_array().filter(|named| !named.is_empty());
        let Some(named) = named else {
            fields.refuse(FIELD, value.clone(), ALLOWED);
            return None;
        };
        let (mut ids, mut modes) = (vec![], vec![]);
        for name in named {
            match name.as_str() {
                Some("isolated") => modes.push(MarginMode::Isolated),
                Some("cross") => modes.push(MarginMode::Cross),
                Some(id) if let Ok(id) = id.parse() => ids.push(PositionId(id)),
                _ => fields.refuse(FIELD, Value::clone(name), ALLOWED),
            }
        }
        (ids.len() + modes.len() == named.len()).then_some(Self::These { ids, modes })
    }

    /// Whether no isolated trade can be among them.
    pub(super) fn are_cross_alone(&self) -> bool {
        match self {
            Self::All => false,
            Self::These { ids, modes } => {
                ids.is_empty() && modes.iter().all(|mode| *mode == MarginMode::Cross)
            }
        }
    }

    /// Whether a position is among them, by itself or as the successor of one that is named.
    pub fn include(&self, position: &Position, lineage: &Lineage) -> bool {
        match self {
            Self::All => true,
            Self::These { ids, modes } => {
                modes.contains(&position.mode)
                    || lineage.of(position.id).any(|id| ids.contains(&id))
            }
        }
    }
}

/// Which trade took another's place: a trade that was closed and reopened smaller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineage {
    predecessors: HashMap<PositionId, PositionId>,
}

impl Lineage {
    /// Notes that `successor` took the place of `predecessor`.
    pub fn succeed(&mut self, successor: PositionId, predecessor: PositionId) {
        self.predecessors.insert(successor, predecessor);
    }

    /// A trade and all whose place it took, the latest first.
    pub fn of(&self, id: PositionId) -> impl Iterator<Item = PositionId> + '_ {
        // So many at most: no row that somebody wrote makes this endless.
        let most = self.predecessors.len() + 1;
        std::iter::successors(Some(id), |id| self.predecessors.get(id).copied()).take(most)
    }

    /// The one that a trade took the place of.
    pub fn predecessor(&self, id: PositionId) -> Option<PositionId> {
        self.predecessors.get(&id).copied()
    }

    /// The latest successor of a trade: itself, if nothing took its place.
    pub fn latest(&self, id: PositionId) -> PositionId {
        let mut latest = id;
        for _ in 0..self.predecessors.len() {
            let next = self.predecessors.iter().find(|(_, of)| **of == latest);
            let Some((successor, _)) = next else { break };
            latest = *successor;
        }
        latest
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::rules::{Rule, RuleKind};

    fn guard(positions: &Value) -> Result<Positions, Vec<String>> {
        let config = json!({"action": "close_position", "margin_threshold": 0.5,
                            "positions": positions});
        match Rule::parse(RuleKind::MarginGuard, &config) {
            Ok(Rule::MarginGuard(guard)) => Ok(guard.positions),
            Ok(other) => panic!("{other:?}"),
            Err(errors) => Err(errors.into_iter().map(|error| error.field).collect()),
        }
    }

    #[test]
    fn positions_are_named_by_id_or_by_margin_mode_and_nothing_else() {
        let id = uuid::Uuid::from_u128(7);
        let named = guard(&json!([id, "cross"])).unwrap();
        let expected = Positions::These {
            ids: vec![PositionId(id)],
            modes: vec![MarginMode::Cross],
        };
        assert_eq!(named, expected);
        assert_eq!(guard(&json!(null)), Ok(Positions::All));
        for wrong in [
            json!([]),
            json!("cross"),
            json!(["all"]),
            json!([7]),
            json!({}),
        ] {
            assert!(guard(&wrong).is_err(), "{wrong}");
        }
        let each = guard(&json!(["one", "two"])).unwrap_err();
        assert_eq!(each, ["positions", "positions"], "each is told");
    }
}
