//! margin_guard: keeps a position from liquidation by adding margin, by reducing or by closing it, as
//! soon as a metric of danger reaches a threshold.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cooldown;
use super::fields::{FieldError, Fields};
use super::positions::Positions;
use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::{Position, Side};
use crate::domain::units::{Price, Sats};

/// How danger is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The exchange's margin ratio, see [`maths::margin_ratio`]: a very late signal.
    MarginRatio,
    /// The share of the margin that is lost, see [`maths::margin_used`].
    MarginUsed,
    /// The distance to liquidation, see [`maths::liquidation_distance`]; fires at or below.
    LiquidationDistance,
}

impl Metric {
    /// The metric's value for a position at a price.
    pub fn value(self, position: &Position, at: Price) -> f64 {
        match self {
            Self::MarginRatio => maths::margin_ratio(position, at),
            Self::MarginUsed => maths::margin_used(position, at),
            Self::LiquidationDistance => maths::liquidation_distance(position, at),
        }
    }

    /// Its name in configurations and audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarginRatio => "margin_ratio",
            Self::MarginUsed => "margin_used",
            Self::LiquidationDistance => "liquidation_distance",
        }
    }
}

/// What the guard does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GuardAction {
    /// Closes the position.
    ClosePosition,
    /// Takes so many percent off its quantity.
    ReducePosition(f64),
    /// Adds up to so many satoshis of margin, as far as balance and exchange allow.
    AddMargin {
        /// How much.
        amount: Sats,
        /// What is done where nothing can be added.
        fallback: Option<Fallback>,
    },
}

/// What a guard does where no margin can be added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// Closes the position.
    ClosePosition,
    /// Takes so many percent off its quantity.
    ReducePosition(f64),
}

/// A margin guard that can be obeyed.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginGuard {
    /// What it does.
    pub action: GuardAction,
    /// How danger is measured.
    pub metric: Metric,
    /// The value at which it acts, as a fraction.
    pub threshold: f64,
    /// The least time from the end of one execution to the next episode.
    pub cooldown: Duration,
    /// At most so many executions on one day (UTC), for all its positions.
    pub max_per_day: Option<u32>,
    /// Which positions it is for.
    pub positions: Positions,
}

const MOST_SATS: i64 = 2_100_000_000_000_000;
const MOST_PER_DAY: i64 = 10_000;
const PERCENTAGE: &str = "a percentage over 0 up to 100";

impl MarginGuard {
    /// Whether something is done instead where no margin can be added.
    pub fn falls_back(&self) -> bool {
        matches!(
            self.action,
            GuardAction::AddMargin {
                fallback: Some(_),
                ..
            }
        )
    }

    /// Reads `{ action, margin_threshold, reduce_percentage?, add_margin_amount?, fallback?, metric?,
    /// cooldown_seconds?, max_executions_per_day?, positions? }`.
    ///
    /// A ratio threshold over 1 is read as percent (90 is 0.9).
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn parse(config: &Value) -> Result<Self, Vec<FieldError>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            Close,
            Reduce,
            Add,
        }
        let mut fields = Fields::of(config);
        let kind = fields.choice(
            "action",
            &[
                ("close_position", Kind::Close),
                ("reduce_position", Kind::Reduce),
                ("add_margin", Kind::Add),
            ],
            None,
        );
        let metric = fields.choice(
            "metric",
            &[
                ("margin_ratio", Metric::MarginRatio),
                ("margin_used", Metric::MarginUsed),
                ("liquidation_distance", Metric::LiquidationDistance),
            ],
            Some(Metric::MarginRatio),
        );
        let threshold = Self::threshold(&mut fields, metric);
        let amount = fields.whole("add_margin_amount", 1..=MOST_SATS, "satoshis");
        let percentage = fields.number("reduce_percentage", PERCENTAGE, |percent| {
            percent > 0.0 && percent <= 100.0
        });
        let fallback = match fields.get("fallback") {
            Some(_) => fields.choice(
                "fallback",
                &[
                    ("close_position", Kind::Close),
                    ("reduce_position", Kind::Reduce),
                ],
                None,
            ),
            None => None,
        };
        let cooldown = cooldown(&mut fields);
        let max_per_day = fields.whole("max_executions_per_day", 1..=MOST_PER_DAY, "executions");
        let positions = Positions::parse(&mut fields);
        if kind.is_some_and(|kind| kind != Kind::Add) {
            fields.only_with("add_margin_amount", "action add_margin");
            fields.only_with("fallback", "action add_margin");
        }
        let reduces = kind == Some(Kind::Reduce) || fallback == Some(Kind::Reduce);
        if !reduces {
            fields.only_with("reduce_percentage", "reduce_position as action or fallback");
        }
        let percentage = if reduces {
            fields.require("reduce_percentage", percentage, PERCENTAGE)
        } else {
            None
        };
        let action = match kind {
            Some(Kind::Close) => Some(GuardAction::ClosePosition),
            Some(Kind::Reduce) => percentage.map(GuardAction::ReducePosition),
            Some(Kind::Add) => fields
                .require("add_margin_amount", amount, "satoshis to add, at least 1")
                .map(|amount| GuardAction::AddMargin {
                    amount: Sats(amount),
                    fallback: match fallback {
                        Some(Kind::Close) => Some(Fallback::ClosePosition),
                        Some(Kind::Reduce) => percentage.map(Fallback::ReducePosition),
                        Some(Kind::Add) | None => None,
                    },
                }),
            None => None,
        };
        let rule = (|| {
            Some(Self {
                action: action?,
                metric: metric?,
                threshold: threshold?,
                cooldown,
                max_per_day: max_per_day.and_then(|most| u32::try_from(most).ok()),
                positions: positions?,
            })
        })();
        fields.finish(rule)
    }

    fn threshold(fields: &mut Fields<'_>, metric: Option<Metric>) -> Option<f64> {
        const FIELD: &str = "margin_threshold";
        let (allowed, most) = match metric {
            Some(Metric::LiquidationDistance) => ("a fraction of the price over 0, under 1", 1.0),
            _ => (
                "a fraction over 0 up to 1, or a percentage over 1 up to 100",
                100.0,
            ),
        };
        let threshold = fields.number(FIELD, allowed, |number| {
            number > 0.0 && (number < most || (number == most && most > 1.0))
        });
        fields
            .require(FIELD, threshold, allowed)
            .map(|number| if number > 1.0 { number / 100.0 } else { number })
    }

    /// Whether the danger has reached the threshold.
    pub fn is_reached(&self, position: &Position, at: Price) -> bool {
        let value = self.metric.value(position, at);
        match self.metric {
            Metric::LiquidationDistance => value <= self.threshold,
            Metric::MarginRatio | Metric::MarginUsed => value >= self.threshold,
        }
    }

    /// The prices at which it fires for a position: below for a long, above for a short.
    pub fn level(&self, position: &Position) -> Level {
        let reached = |at| self.is_reached(position, at);
        match position.side {
            Side::Buy => Level::falling(reached),
            Side::Sell => Level::rising(reached),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_guard_of_the_old_worker_means_what_it_meant() {
        let rule = MarginGuard::parse(&json!({"action": "close_position", "margin_threshold": 90}));
        let rule = rule.unwrap();
        assert_eq!((rule.metric, rule.threshold), (Metric::MarginRatio, 0.9));
        assert_eq!(rule.cooldown, Duration::from_secs(60));
    }

    #[test]
    fn ratios_over_one_are_percentages_and_distances_are_not() {
        let threshold = |metric: &str, threshold: f64| {
            let config = json!({"action": "close_position", "margin_threshold": threshold,
                                "metric": metric});
            MarginGuard::parse(&config).ok().map(|rule| rule.threshold)
        };
        assert_eq!(threshold("margin_used", 70.0), Some(0.7));
        assert_eq!(threshold("margin_ratio", 100.0), Some(1.0));
        assert_eq!(threshold("margin_ratio", 1.0), Some(1.0));
        assert_eq!(threshold("margin_used", 1.5), Some(0.015));
        assert_eq!(threshold("liquidation_distance", 0.05), Some(0.05));
        assert_eq!(threshold("liquidation_distance", 1.0), None);
    }

    #[test]
    fn a_guard_has_all_its_additions() {
        let config = json!({
            "action": "add_margin", "add_margin_amount": 500, "margin_threshold": 0.7,
            "fallback": "reduce_position", "reduce_percentage": 25,
            "max_executions_per_day": 3, "positions": ["cross"],
        });
        let rule = MarginGuard::parse(&config).unwrap();
        let expected = GuardAction::AddMargin {
            amount: Sats(500),
            fallback: Some(Fallback::ReducePosition(25.0)),
        };
        assert_eq!((rule.action, rule.max_per_day), (expected, Some(3)));
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        assert!(!rule.positions.include(&position, &Default::default()));
    }

    #[test]
    fn every_error_is_told_at_once_by_field() {
        let config = json!({
            "action": "add_margin", "margin_threshold": "high", "metric": "luck",
            "cooldown_seconds": -1, "treshold": 1
        });
        let errors = MarginGuard::parse(&config).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let expected = [
            "metric",
            "margin_threshold",
            "cooldown_seconds",
            "add_margin_amount",
            "treshold",
        ];
        assert_eq!(fields, expected);
        assert!(
            errors[4].allowed.contains("margin_threshold"),
            "{}",
            errors[4]
        );
    }

    #[test]
    fn contradictions_and_impossible_values_are_refused() {
        for (config, field) in [
            (json!(null), "config"),
            (json!({"action": "close_position"}), "margin_threshold"),
            (
                json!({"action": "close_position", "margin_threshold": 0}),
                "margin_threshold",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 101}),
                "margin_threshold",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 0.5,
                       "add_margin_amount": 5}),
                "add_margin_amount",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 5,
                       "metric": "liquidation_distance"}),
                "margin_threshold",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 0.5,
                       "reduce_percentage": 5}),
                "reduce_percentage",
            ),
            (
                json!({"action": "reduce_position", "margin_threshold": 0.5}),
                "reduce_percentage",
            ),
            (
                json!({"action": "reduce_position", "margin_threshold": 0.5,
                       "reduce_percentage": 101}),
                "reduce_percentage",
            ),
            (
                json!({"action": "add_margin", "add_margin_amount": 5, "margin_threshold": 0.5,
                       "fallback": "reduce_position"}),
                "reduce_percentage",
            ),
            (
                json!({"action": "add_margin", "add_margin_amount": 5, "margin_threshold": 0.5,
                       "fallback": "add_margin"}),
                "fallback",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 0.5,
                       "fallback": "close_position"}),
                "fallback",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 0.5,
                       "max_executions_per_day": 0}),
                "max_executions_per_day",
            ),
            (
                json!({"action": "close_position", "margin_threshold": 0.5,
                       "positions": ["everything"]}),
                "positions",
            ),
        ] {
            let errors = MarginGuard::parse(&config).unwrap_err();
            assert!(
                errors.iter().any(|error| error.field == field),
                "{config}: {errors:?}"
            );
        }
    }
}
