//! What a rule would do: at which prices it fires for a position, how far from liquidation that is,
//! and whether the exchange would take what it wants then. The exchange's own ratio warns very
//! late; this is where that is seen.

use std::time::Duration;

use chrono::DateTime;
use serde::{Serialize, Serializer};

use super::opened::{self, Order};
use crate::domain::execution::{LastLook, Sight, SkipReason, last_look};
use crate::domain::ids::PositionId;
use crate::domain::maths;
use crate::domain::maths::fees::FeeTier;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::rules::tp_sl::Direction;
use crate::domain::rules::{AutoEntry, Lineage, Rule};
use crate::domain::units::{Price, Usd};

/// Leverages of the examples.
const LEVERAGES: [i64; 3] = [1, 10, 50];
/// Size of the examples, in USD.
pub(super) const QUANTITY: Usd = Usd(1000);
/// Nearer to liquidation than this fraction of the price, a rule comes too late to rely on.
const TOO_NEAR: f64 = 0.01;
/// A rule that fires after so small a move, as a fraction of the price, may not be meant.
const HARDLY_A_MOVE: f64 = 0.001;

/// Why a rule would fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum On {
    Danger,
    Profit,
    Loss,
    Entry,
}

impl On {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Profit => "profit",
            Self::Loss => "loss",
            Self::Entry => "entry",
        }
    }
}

/// What a rule would do for one position, in one direction of the price.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Example {
    /// The position's id; `None` for one that is made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionId>,
    pub side: Side,
    pub margin_mode: MarginMode,
    #[serde(serialize_with = "whole_where_it_is")]
    pub leverage: f64,
    /// `None` for an entry into the cross position: its margin decides.
    pub liquidation: Option<Price>,
    pub on: On,
    /// The price at which the rule fires; `None` if no price does.
    pub fires_at: Option<Price>,
    /// How far the price has moved by then, as a fraction of the price it is seen from.
    #[serde(rename = "move")]
    pub moved: Option<f64>,
    /// How far liquidation is then, as a fraction of the price.
    pub from_liquidation: Option<f64>,
    /// What an operator should know before relying on it.
    pub warning: Option<String>,
}

fn whole_where_it_is<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// What a rule would do for positions of either side opened at `price`; of an entry, what it opens.
pub(super) fn examples(rule: &Rule, price: Price) -> Vec<Example> {
    if let Rule::AutoEntry(entry) = rule {
        return vec![entered(rule, entry, entry.trigger.unwrap_or(price))];
    }
    let mut examples = vec![];
    for side in [Side::Buy, Side::Sell] {
        for leverage in LEVERAGES {
            let order = Order {
                side,
                quantity: QUANTITY,
                price,
                leverage: leverage as f64,
            };
            let position = made_up(order);
            let made_up = |example| Example {
                position: None,
                ..example
            };
            examples.extend(of_position(rule, &position, price).into_iter().map(made_up));
        }
    }
    examples
}

/// What a rule would do for positions of the account, seen from the present price.
pub(super) fn own(rule: &Rule, positions: &[Position], price: Price) -> Vec<Example> {
    if let Rule::AutoEntry(entry) = rule {
        let mut example = entered(rule, entry, entry.trigger.unwrap_or(price));
        if entry.trigger.is_some() && entry.is_reached(price) {
            example.warning = Some(format!("the price is {price}: it enters at once"));
        }
        return vec![example];
    }
    let lineage = Lineage::default();
    let its_own = positions
        .iter()
        .filter(|position| rule.is_for(position, &lineage));
    its_own
        .flat_map(|position| of_position(rule, position, price))
        .collect()
}

fn made_up(order: Order) -> Position {
    opened::trade(
        order,
        FeeTier::One,
        PositionId::MARKET,
        DateTime::UNIX_EPOCH,
    )
}

/// A row for each direction in which the rule may fire.
fn of_position(rule: &Rule, position: &Position, from: Price) -> Vec<Example> {
    let level = rule.level(position.into());
    let (against, along) = match position.side {
        Side::Buy => (level.at_or_below, level.at_or_above),
        Side::Sell => (level.at_or_above, level.at_or_below),
    };
    let row = |on, fires_at| row(rule, position, from, on, fires_at);
    match rule {
        Rule::MarginGuard(_) => vec![row(On::Danger, against)],
        Rule::TpSl(rule) => match rule.direction {
            Direction::Any => vec![row(On::Profit, along), row(On::Loss, against)],
            Direction::Profit => vec![row(On::Profit, along)],
            Direction::Loss => vec![row(On::Loss, against)],
        },
        Rule::AutoEntry(_) => vec![],
    }
}

fn row(rule: &Rule, position: &Position, from: Price, on: On, fires_at: Option<Price>) -> Example {
    let moved = fires_at.map(|at| at.usd() / from.usd() - 1.0);
    let from_liquidation = fires_at.map(|at| maths::liquidation_distance(position, at));
    let warning = match (fires_at, from_liquidation) {
        (Some(at), Some(distance)) => warning(rule, position, from, on, at, distance),
        _ => Some("it never fires".to_owned()),
    };
    Example {
        position: Some(position.id),
        side: position.side,
        margin_mode: position.mode,
        leverage: position.leverage,
        liquidation: Some(position.liquidation),
        on,
        fires_at,
        moved,
        from_liquidation,
        warning,
    }
}

fn warning(
    rule: &Rule,
    position: &Position,
    from: Price,
    on: On,
    at: Price,
    distance: f64,
) -> Option<String> {
    let moved = (at.usd() / from.usd() - 1.0).abs();
    if on != On::Profit && distance <= 0.0 {
        return Some(format!(
            "liquidation at {} comes first",
            position.liquidation
        ));
    }
    if rule.is_reached(position.into(), from) {
        return Some("it fires at once".to_owned());
    }
    if on == On::Danger && distance < TOO_NEAR {
        return Some(format!(
            "it fires {} from liquidation: too late to rely on",
            percent(distance)
        ));
    }
    refused(rule, Some(position), at).or_else(|| {
        (on != On::Danger && moved < HARDLY_A_MOVE).then(|| {
            format!(
                "it fires after a move of {}; with pnl_basis margin the percentage is that of \
                 the margin",
                percent(moved)
            )
        })
    })
}

/// What the last look before sending would object to.
fn refused(rule: &Rule, position: Option<&Position>, at: Price) -> Option<String> {
    let sight = Sight {
        position,
        row_age: Duration::ZERO,
        balance: None,
        price: Some(at),
    };
    match last_look(rule, false, &sight) {
        LastLook::OutOfRange(text) => Some(text),
        LastLook::Skip(SkipReason::AlreadySet) => Some("it is set already".to_owned()),
        LastLook::Skip(SkipReason::TrailingStop) => {
            Some("a trailing stop is left alone without replace_trailing".to_owned())
        }
        LastLook::NothingToAdd { .. } => {
            Some("nothing can be added: the leverage is 1 already".to_owned())
        }
        LastLook::Send(_) | LastLook::Skip(_) | LastLook::ReadFirst => None,
    }
}

/// What an entry opens at a price.
fn entered(rule: &Rule, entry: &AutoEntry, at: Price) -> Example {
    let position = made_up(Order {
        side: entry.side,
        quantity: entry.quantity,
        price: at,
        leverage: entry.leverage,
    });
    let isolated = entry.mode == MarginMode::Isolated;
    let by_job = entry.trigger.is_none();
    let without = by_job.then(|| "without trigger_price it runs by job only".to_owned());
    Example {
        position: None,
        side: entry.side,
        margin_mode: entry.mode,
        leverage: entry.leverage,
        liquidation: isolated.then_some(position.liquidation),
        on: On::Entry,
        fires_at: entry.trigger,
        moved: None,
        from_liquidation: isolated.then(|| maths::liquidation_distance(&position, at)),
        warning: refused(rule, None, at).or(without),
    }
}

/// A fraction as a percentage.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::rules::RuleKind;
    use crate::domain::units::Sats;

    fn guard(metric: &str, threshold: f64) -> Rule {
        let config = json!({"action": "close_position", "metric": metric,
                            "margin_threshold": threshold});
        Rule::parse(RuleKind::MarginGuard, &config).unwrap()
    }

    fn tp_sl(config: Value) -> Rule {
        Rule::parse(RuleKind::TpSl, &config).unwrap()
    }

    fn at(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    #[test]
    fn an_example_is_a_position_as_the_exchange_opens_it() {
        let mut sample = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        sample.id = PositionId::MARKET;
        let order = Order {
            side: Side::Buy,
            quantity: QUANTITY,
            price: at(100_000.0),
            leverage: 10.0,
        };
        assert_eq!(made_up(order), sample);
    }

    #[test]
    fn the_exchanges_ratio_is_seen_to_come_too_late_and_margin_used_in_time() {
        let late = examples(&guard("margin_ratio", 0.5), at(100_000.0));
        let warned = late[1].warning.as_deref().unwrap();
        assert!(warned.contains("from liquidation"), "{warned}");
        assert!(late[1].from_liquidation.unwrap() < 0.002);
        let in_time = examples(&guard("margin_used", 0.7), at(100_000.0));
        assert_eq!(in_time[1].warning, None);
        // Loss of 70 % of a tenth of the notional: 1 / (1 + 0.07) of the price.
        let fires_at = in_time[1].fires_at.unwrap().usd();
        assert!((fires_at - 93_457.9).abs() < 1.0, "{fires_at}");
        assert!((in_time[1].moved.unwrap() + 0.0654).abs() < 0.0001);
        assert!(
            in_time[2].warning.is_some(),
            "50x is always near liquidation"
        );
        let short = &in_time[4];
        assert_eq!((short.side, short.leverage), (Side::Sell, 10.0));
        assert!((short.fires_at.unwrap().usd() - 107_526.9).abs() < 1.0);
    }

    #[test]
    fn a_rule_that_fires_at_once_or_never_is_told() {
        let early = examples(&guard("liquidation_distance", 0.2), at(100_000.0));
        assert_eq!(early[0].warning, None);
        assert_eq!(early[1].warning.as_deref(), Some("it fires at once"));
        let gain = tp_sl(json!({"action": "close_tp", "direction": "profit",
                                "trigger_pnl_percentage": 150, "pnl_basis": "margin"}));
        let rows = examples(&gain, at(100_000.0));
        assert_eq!(
            rows[0].warning.as_deref(),
            Some("it never fires"),
            "1x long"
        );
        assert!(rows[0].fires_at.is_none());
        assert_eq!(rows[1].warning, None);
    }

    #[test]
    fn tp_sl_is_shown_in_profit_and_loss_and_with_whether_its_stop_fits_there() {
        let rule = tp_sl(json!({"action": "update_sl", "new_stoploss": 101_000,
                                "trigger_pnl_percentage": 20, "pnl_basis": "margin"}));
        let rows = examples(&rule, at(100_000.0));
        assert_eq!(rows.len(), 12);
        let (profit, loss) = (&rows[2], &rows[3]);
        assert_eq!((profit.on, profit.leverage), (On::Profit, 10.0));
        assert!((profit.fires_at.unwrap().usd() - 102_040.8).abs() < 1.0);
        assert_eq!(profit.warning, None);
        let warned = loss.warning.as_deref().unwrap();
        assert!(
            warned.contains("allowed is from the liquidation"),
            "{warned}"
        );
        let half = tp_sl(json!({"action": "close_sl", "direction": "loss",
                                "trigger_pnl_percentage": 120, "pnl_basis": "margin"}));
        let rows = examples(&half, at(100_000.0));
        let warned = rows[1].warning.as_deref().unwrap();
        assert!(warned.contains("comes first"), "{warned}");
    }

    #[test]
    fn satoshis_over_dollars_are_seen_to_fire_at_almost_no_move() {
        let rule = tp_sl(json!({"action": "close_tp", "trigger_pnl_percentage": 5}));
        let rows = examples(&rule, at(100_000.0));
        let warned = rows[2].warning.as_deref().unwrap();
        assert!(warned.contains("pnl_basis margin"), "{warned}");
    }

    #[test]
    fn an_entry_is_shown_with_its_trigger_and_what_it_opens() {
        let entry = |config: Value| Rule::parse(RuleKind::AutoEntry, &config).unwrap();
        let rule = entry(
            json!({"side": "buy", "quantity": 1000, "trigger_price": 100_000,
                                "stoploss": 95_000}),
        );
        let row = &examples(&rule, at(50_000.0))[0];
        assert_eq!((row.on, row.fires_at), (On::Entry, Some(at(100_000.0))));
        assert_eq!(row.liquidation, Some(at(90_909.0)));
        assert!((row.from_liquidation.unwrap() - 0.0909).abs() < 0.0001);
        assert_eq!(row.warning, None);
        let now = own(&rule, &[], at(99_000.0));
        assert!(now[0].warning.as_deref().unwrap().contains("at once"));
        let by_job = entry(json!({"side": "s", "quantity": 5, "margin_mode": "cross"}));
        let row = &examples(&by_job, at(50_000.0))[0];
        assert_eq!((row.fires_at, row.liquidation), (None, None));
        assert!(row.warning.as_deref().unwrap().contains("by job only"));
    }

    #[test]
    fn own_positions_are_shown_as_they_are_and_only_those_it_is_for() {
        let cross = Position::sample_cross(Side::Sell, 500, 100_000.0, 10, Sats(120_000));
        let trade = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let positions = [trade.clone(), cross.clone()];
        let rows = own(&guard("margin_used", 0.5), &positions, at(99_000.0));
        let ids: Vec<_> = rows.iter().map(|row| row.position).collect();
        assert_eq!(ids, [Some(trade.id), Some(cross.id)]);
        assert_eq!(rows[1].margin_mode, MarginMode::Cross);
        assert_eq!(rows[1].liquidation, Some(cross.liquidation));
        let rule = tp_sl(json!({"action": "update_tp", "new_takeprofit": 120_000,
                                "trigger_pnl_percentage": 20, "pnl_basis": "margin"}));
        let rows = own(&rule, &positions, at(99_000.0));
        assert!(rows.iter().all(|row| row.position == Some(trade.id)));
    }
}
