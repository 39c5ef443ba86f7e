//! tp_sl: moves take-profit and stop-loss, or closes, when the P&L of a position reaches a
//! percentage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{FieldError, Fields};
use super::positions::Positions;
use super::{cooldown, price_field};
use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::{Position, Side};
use crate::domain::units::Price;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TpSlAction {
    /// Sets the take-profit to this price.
    UpdateTp(Price),
    /// Sets the stop-loss to this price.
    UpdateSl {
        /// The new stop.
        to: Price,
        /// Also in place of a trailing stop.
        replace_trailing: bool,
    },
    /// Closes the position to take its profit.
    CloseTp,
    /// Closes the position to stop its loss.
    CloseSl,
}

impl TpSlAction {
    /// Its name in configurations and audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpdateTp(_) => "update_tp",
            Self::UpdateSl { .. } => "update_sl",
            Self::CloseTp => "close_tp",
            Self::CloseSl => "close_sl",
        }
    }

    /// Whether it closes the position.
    pub fn closes(self) -> bool {
        matches!(self, Self::CloseTp | Self::CloseSl)
    }
}

/// What the P&L is a percentage of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PnlBasis {
    /// The quantity: satoshis over US dollars, as the old worker reckoned.
    Quantity,
    /// The margin: the return on it.
    Margin,
}

/// Which P&L counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Profit and loss.
    Any,
    /// Profit alone.
    Profit,
    /// Loss alone.
    Loss,
}

/// A take-profit and stop-loss rule that can be obeyed.
#[derive(Clone, Debug, PartialEq)]
pub struct TpSl {
    /// What it does.
    pub action: TpSlAction,
    /// The percentage at which it acts, over zero.
    pub trigger_percentage: f64,
    /// What the percentage is of.
    pub basis: PnlBasis,
    /// Whether profit, loss or either counts.
    pub direction: Direction,
    /// The least time from the end of one execution to the next episode.
    pub cooldown: Duration,
    /// Which positions it is for.
    pub positions: Positions,
}

const MOST_PERCENT: f64 = 1e12;

impl TpSl {
    /// Reads `{ action, new_takeprofit?, new_stoploss?, trigger_pnl_percentage, pnl_basis?,
    /// direction?, replace_trailing?, cooldown_seconds?, positions? }`.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn parse(config: &Value) -> Result<Self, Vec<FieldError>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Kind {
            UpdateTp,
            UpdateSl,
            CloseTp,
            CloseSl,
        }
        let mut fields = Fields::of(config);
        let kind = fields.choice(
            "action",
            &[
                ("update_tp", Kind::UpdateTp),
                ("update_sl", Kind::UpdateSl),
                ("close_tp", Kind::CloseTp),
                ("close_sl", Kind::CloseSl),
            ],
            None,
        );
        const TRIGGER: &str = "trigger_pnl_percentage";
        let allowed = "a percentage over 0";
        let trigger = fields.number(TRIGGER, allowed, |number| {
            number > 0.0 && number <= MOST_PERCENT
        });
        let trigger = fields.require(TRIGGER, trigger, allowed);
        let takeprofit = price_field(&mut fields, "new_takeprofit");
        let stoploss = price_field(&mut fields, "new_stoploss");
        let replace_trailing = fields.flag("replace_trailing");
        let basis = fields.choice(
            "pnl_basis",
            &[
                ("quantity", PnlBasis::Quantity),
                ("margin", PnlBasis::Margin),
            ],
            Some(PnlBasis::Quantity),
        );
        let direction = fields.choice(
            "direction",
            &[
                ("any", Direction::Any),
                ("profit", Direction::Profit),
                ("loss", Direction::Loss),
            ],
            Some(Direction::Any),
        );
        let cooldown = cooldown(&mut fields);
        let positions = Positions::parse(&mut fields);
        if kind.is_some_and(|kind| kind != Kind::UpdateTp) {
            fields.only_with("new_takeprofit", "action update_tp");
        }
        if kind.is_some_and(|kind| kind != Kind::UpdateSl) {
            fields.only_with("new_stoploss", "action update_sl");
            fields.only_with("replace_trailing", "action update_sl");
        }
        let updates = matches!(kind, Some(Kind::UpdateTp | Kind::UpdateSl));
        if updates && positions.as_ref().is_some_and(Positions::are_cross_alone) {
            fields.only_with(
                "positions",
                "isolated trades for an update: a cross position has no take-profit and no stop-loss",
            );
        }
        const PRICE: &str = "a price in USD, a multiple of 0.5";
        let action = match kind {
            Some(Kind::UpdateTp) => fields
                .require("new_takeprofit", takeprofit, PRICE)
                .map(TpSlAction::UpdateTp),
            Some(Kind::UpdateSl) => fields.require("new_stoploss", stoploss, PRICE).map(|to| {
                let replace_trailing = replace_trailing.unwrap_or(false);
                TpSlAction::UpdateSl {
                    to,
                    replace_trailing,
                }
            }),
            Some(Kind::CloseTp) => Some(TpSlAction::CloseTp),
            Some(Kind::CloseSl) => Some(TpSlAction::CloseSl),
            None => None,
        };
        let rule = (|| {
            Some(Self {
                action: action?,
                trigger_percentage: trigger?,
                basis: basis?,
                direction: direction?,
                cooldown,
                positions: positions?,
            })
        })();
        fields.finish(rule)
    }

    /// P&L as a percentage of what the rule reckons by; positive is profit.
    pub fn pnl_percentage(&self, position: &Position, at: Price) -> f64 {
        let pl = maths::pl(position, at).0 as f64;
        let basis = match self.basis {
            PnlBasis::Quantity => position.quantity.0,
            PnlBasis::Margin => position.margin.0,
        };
        if basis <= 0 {
            return 0.0;
        }
        pl / basis as f64 * 100.0
    }

    /// Whether the P&L has reached the percentage in a direction that counts.
    pub fn is_reached(&self, position: &Position, at: Price) -> bool {
        let percentage = self.pnl_percentage(position, at);
        let profit = self.direction != Direction::Loss && percentage >= self.trigger_percentage;
        let loss = self.direction != Direction::Profit && -percentage >= self.trigger_percentage;
        profit || loss
    }

    /// The prices at which it fires for a position.
    pub fn level(&self, position: &Position) -> Level {
        let profit = |at| {
            self.direction != Direction::Loss
                && self.pnl_percentage(position, at) >= self.trigger_percentage
        };
        let loss = |at| {
            self.direction != Direction::Profit
                && -self.pnl_percentage(position, at) >= self.trigger_percentage
        };
        match position.side {
            Side::Buy => Level::rising(profit).or(Level::falling(loss)),
            Side::Sell => Level::falling(profit).or(Level::rising(loss)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::position::MarginMode;
    use crate::domain::units::Sats;

    fn refused(config: &Value) -> Vec<String> {
        let errors = TpSl::parse(config).unwrap_err();
        errors.into_iter().map(|error| error.field).collect()
    }

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    #[test]
    fn a_rule_of_the_old_worker_means_what_it_meant() {
        let rule = TpSl::parse(&json!({"action": "close_tp", "trigger_pnl_percentage": 5}));
        let rule = rule.unwrap();
        assert_eq!(rule.basis, PnlBasis::Quantity);
        assert_eq!(rule.direction, Direction::Any);
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        // Satoshis over dollars, times a hundred.
        let at = price(100_005.0);
        let pl = maths::pl(&position, at).0 as f64;
        assert_eq!(rule.pnl_percentage(&position, at), pl / 1000.0 * 100.0);
        assert!(rule.is_reached(&position, at));
        assert!(rule.is_reached(&position, price(99_995.0)), "a loss too");
    }

    #[test]
    fn all_actions_bases_and_directions_are_understood() {
        for (action, field) in [
            ("update_tp", Some("new_takeprofit")),
            ("update_sl", Some("new_stoploss")),
            ("close_tp", None),
            ("close_sl", None),
        ] {
            for basis in ["quantity", "margin"] {
                for direction in ["any", "profit", "loss"] {
                    let mut config = json!({"action": action, "trigger_pnl_percentage": 0.5,
                        "pnl_basis": basis, "direction": direction});
                    if let Some(field) = field {
                        config[field] = json!(42_000.5);
                    }
                    let rule = TpSl::parse(&config).unwrap();
                    assert_eq!(rule.action.as_str(), action);
                }
            }
        }
    }

    #[test]
    fn every_error_is_told_at_once_by_field() {
        let config = json!({
            "action": "update_tp", "trigger_pnl_percentage": 0, "new_stoploss": 42_000.25,
            "pnl_basis": "equity", "direction": "up", "replace_trailing": "yes",
            "cooldown_seconds": 90_000, "positions": [], "take_profit": 1,
        });
        let expected = [
            "trigger_pnl_percentage",
            "new_stoploss",
            "replace_trailing",
            "pnl_basis",
            "direction",
            "cooldown_seconds",
            "positions",
            "new_stoploss",
            "replace_trailing",
            "new_takeprofit",
            "take_profit",
        ];
        assert_eq!(refused(&config), expected);
    }

    #[test]
    fn fields_that_contradict_the_action_are_refused() {
        for (config, field) in [
            (
                json!({"action": "update_sl", "new_stoploss": 1, "new_takeprofit": 2}),
                "new_takeprofit",
            ),
            (
                json!({"action": "update_tp", "new_takeprofit": 2, "replace_trailing": true}),
                "replace_trailing",
            ),
            (
                json!({"action": "close_sl", "new_stoploss": 2}),
                "new_stoploss",
            ),
            (json!({"action": "update_sl"}), "new_stoploss"),
            (
                json!({"action": "update_sl", "new_stoploss": 2, "positions": ["cross"]}),
                "positions",
            ),
        ] {
            let mut config = config;
            config["trigger_pnl_percentage"] = json!(5);
            assert_eq!(refused(&config), [field], "{config}");
        }
        let closing = json!({"action": "close_sl", "trigger_pnl_percentage": 5,
                             "positions": ["cross"]});
        assert!(TpSl::parse(&closing).is_ok());
    }

    #[test]
    fn directions_take_profit_loss_or_either() {
        let rule = |direction: &str| {
            let config = json!({"action": "close_tp", "trigger_pnl_percentage": 50,
                                "pnl_basis": "margin", "direction": direction});
            TpSl::parse(&config).unwrap()
        };
        let position = Position::sample(Side::Sell, 1000, 100_000.0, 10);
        let (gain, lost) = (price(95_000.0), price(106_000.0));
        let reached = |direction, at| rule(direction).is_reached(&position, at);
        assert_eq!((reached("any", gain), reached("any", lost)), (true, true));
        assert_eq!(
            (reached("profit", gain), reached("profit", lost)),
            (true, false)
        );
        assert_eq!(
            (reached("loss", gain), reached("loss", lost)),
            (false, true)
        );
        // Of a cross position it is the return on all its margin.
        let cross = Position::sample_cross(Side::Sell, 1000, 100_000.0, 10, Sats(500_000));
        assert_eq!(cross.mode, MarginMode::Cross);
        assert!(!rule("profit").is_reached(&cross, gain));
        assert!((rule("any").pnl_percentage(&cross, gain) - 10.5264).abs() < 1e-9);
    }
}
