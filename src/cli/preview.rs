//! What a rule would do: at which price it fires for example positions, and how far from
//! liquidation that is. The exchange's own ratio warns very late; this is where that is seen.

use chrono::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::ids::PositionId;
use crate::domain::maths;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::rules::Rule;
use crate::domain::rules::margin_guard::{GuardAction, MarginGuard};
use crate::domain::units::{Price, Sats, Usd};

/// Leverages of the examples.
const LEVERAGES: [i64; 3] = [1, 10, 50];
/// Size of the examples, in USD.
pub const QUANTITY: Usd = Usd(1000);
/// Nearer to liquidation than this fraction of the price, a rule comes too late to rely on.
const TOO_NEAR: f64 = 0.01;

/// What a rule would do for one example position.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The position's leverage.
    pub leverage: i64,
    /// Its liquidation price.
    pub liquidation: Price,
    /// The price at which the rule fires; `None` if no price does.
    pub fires_at: Option<Price>,
    /// How far the price has moved by then, as a fraction of the opening price.
    #[serde(rename = "move")]
    pub moved: Option<f64>,
    /// How far liquidation is then, as a fraction of the price.
    pub from_liquidation: Option<f64>,
    /// What an operator should know before relying on it.
    pub warning: Option<String>,
}

/// What a rule would do for long examples opened at `price`.
pub fn examples(rule: &Rule, price: Price) -> Vec<Example> {
    let Rule::MarginGuard(guard) = rule else {
        return vec![];
    };
    LEVERAGES
        .iter()
        .map(|leverage| example(guard, *leverage, price))
        .collect()
}

fn example(guard: &MarginGuard, leverage: i64, price: Price) -> Example {
    let position = opened(leverage, price);
    let level = guard.level(&position);
    let fires_at = level.at_or_below.or(level.at_or_above);
    let from_liquidation = fires_at.map(|at| maths::liquidation_distance(&position, at));
    let warning = match (fires_at, from_liquidation) {
        (None, _) => Some("it never fires".to_owned()),
        _ if level.is_reached(price) => Some("it fires at once".to_owned()),
        (_, Some(distance)) if distance < TOO_NEAR => Some(format!(
            "it fires {} from liquidation: too late to rely on",
            percent(distance)
        )),
        _ => None,
    };
    Example {
        leverage,
        liquidation: position.liquidation,
        fires_at,
        moved: fires_at.map(|at| at.usd() / price.usd() - 1.0),
        from_liquidation,
        warning,
    }
}

/// A fraction as a percentage.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A long position as the exchange would open it, with a maintenance reserve of 0.1 %.
fn opened(leverage: i64, price: Price) -> Position {
    let notional = maths::notional(QUANTITY, price);
    let margin = Sats(notional.0 / leverage);
    let liquidation = maths::liquidation(Side::Buy, QUANTITY, price, margin);
    Position {
        id: PositionId(Uuid::nil()),
        mode: MarginMode::Isolated,
        side: Side::Buy,
        quantity: QUANTITY,
        margin,
        maintenance_margin: Sats(maths::notional(QUANTITY, liquidation).0 / 1000),
        price,
        entry_price: price,
        leverage: leverage as f64,
        liquidation,
        stoploss: None,
        takeprofit: None,
        trailing_distance: None,
        opening_fee: Sats(notional.0 / 1000),
        sum_funding_fees: Sats::ZERO,
        sum_cash_in_margin: Sats::ZERO,
        client_id: None,
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// A rule as it is understood: percentages as fractions, defaults filled in.
pub fn normalised(rule: &Rule) -> Value {
    match rule {
        Rule::MarginGuard(guard) => normalised_guard(guard),
        Rule::TpSl(rule) => json!({
            "action": rule.action.as_str(),
            "trigger_pnl_percentage": rule.trigger_percentage,
            "pnl_basis": rule.basis,
            "direction": rule.direction,
            "cooldown_seconds": rule.cooldown.as_secs(),
        }),
        Rule::AutoEntry(entry) => json!({
            "side": entry.side,
            "quantity": entry.quantity,
            "leverage": entry.leverage,
            "trigger_price": entry.trigger,
            "stoploss": entry.stoploss,
            "takeprofit": entry.takeprofit,
            "margin_mode": entry.mode,
            "max_entries": entry.max_entries,
        }),
    }
}

fn normalised_guard(guard: &MarginGuard) -> Value {
    let mut config = json!({
        "margin_threshold": guard.threshold,
        "metric": guard.metric.as_str(),
        "cooldown_seconds": guard.cooldown.as_secs(),
    });
    match guard.action {
        GuardAction::ClosePosition => config["action"] = json!("close_position"),
        GuardAction::ReducePosition(percent) => {
            config["action"] = json!("reduce_position");
            config["reduce_percentage"] = json!(percent);
        }
        GuardAction::AddMargin { amount, .. } => {
            config["action"] = json!("add_margin");
            config["add_margin_amount"] = json!(amount);
        }
    }
    config
}

/// A rule in one line.
pub fn summary(rule: &Rule) -> String {
    let guard = match rule {
        Rule::MarginGuard(guard) => guard,
        Rule::TpSl(rule) => {
            let (action, trigger) = (rule.action.as_str(), rule.trigger_percentage);
            return format!("{action} at {trigger} % P&L");
        }
        Rule::AutoEntry(entry) => {
            let trigger = entry.trigger.map_or_else(
                || "by job only".to_owned(),
                |trigger| format!("at {trigger}"),
            );
            return format!("{} {} {trigger}", entry.side.direction(), entry.quantity);
        }
    };
    let action = match guard.action {
        GuardAction::ClosePosition => "close_position".to_owned(),
        GuardAction::ReducePosition(percent) => format!("reduce_position by {percent} %"),
        GuardAction::AddMargin { amount, .. } => format!("add_margin {} sats", amount.0),
    };
    let sign = match guard.metric {
        crate::domain::rules::margin_guard::Metric::LiquidationDistance => "<=",
        _ => ">=",
    };
    let (metric, threshold) = (guard.metric.as_str(), guard.threshold);
    let cooldown = guard.cooldown.as_secs();
    format!("{action} at {metric} {sign} {threshold}, cooldown {cooldown} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::RuleKind;

    fn rule(metric: &str, threshold: f64) -> Rule {
        let config = json!({"action": "close_position", "metric": metric,
                            "margin_threshold": threshold});
        Rule::parse(RuleKind::MarginGuard, &config).unwrap()
    }

    fn at(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    #[test]
    fn an_example_is_a_position_as_the_exchange_opens_it() {
        let mut sample = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        sample.id = PositionId(Uuid::nil());
        assert_eq!(opened(10, at(100_000.0)), sample);
    }

    #[test]
    fn the_exchanges_ratio_is_seen_to_come_too_late_and_margin_used_in_time() {
        let late = examples(&rule("margin_ratio", 0.5), at(100_000.0));
        let warned = late[1].warning.as_deref().unwrap();
        assert!(warned.contains("from liquidation"), "{warned}");
        assert!(late[1].from_liquidation.unwrap() < 0.002);
        let in_time = examples(&rule("margin_used", 0.7), at(100_000.0));
        assert_eq!(in_time[1].warning, None);
        // Loss of 70 % of a tenth of the notional: 1 / (1 + 0.07) of the price.
        let fires_at = in_time[1].fires_at.unwrap().usd();
        assert!((fires_at - 93_457.9).abs() < 1.0, "{fires_at}");
        assert!((in_time[1].moved.unwrap() + 0.0654).abs() < 0.0001);
        assert!(
            in_time[2].warning.is_some(),
            "50x is always near liquidation"
        );
    }

    #[test]
    fn a_rule_that_fires_at_once_is_told() {
        let examples = examples(&rule("liquidation_distance", 0.2), at(100_000.0));
        assert_eq!(examples[0].warning, None);
        assert_eq!(examples[1].warning.as_deref(), Some("it fires at once"));
    }

    #[test]
    fn a_rule_is_shown_as_it_is_understood() {
        let config = json!({"action": "add_margin", "add_margin_amount": 500,
                            "margin_threshold": 90});
        let rule = Rule::parse(RuleKind::MarginGuard, &config).unwrap();
        let expected = json!({"action": "add_margin", "add_margin_amount": 500,
            "margin_threshold": 0.9, "metric": "margin_ratio", "cooldown_seconds": 60});
        assert_eq!(normalised(&rule), expected);
        assert_eq!(
            summary(&rule),
            "add_margin 500 sats at margin_ratio >= 0.9, cooldown 60 s"
        );
    }
}
