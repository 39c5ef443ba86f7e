//! A rule as it is understood: as a configuration with its defaults filled in, and in one line.

use serde_json::{Value, json};

use crate::domain::rules::margin_guard::{Fallback, GuardAction, Metric};
use crate::domain::rules::tp_sl::{Direction, PnlBasis, TpSlAction};
use crate::domain::rules::{AutoEntry, MarginGuard, Positions, Rule, TpSl};

/// The configuration that means the same: percentages as fractions, defaults filled in.
pub(super) fn normalised(rule: &Rule) -> Value {
    match rule {
        Rule::MarginGuard(guard) => normalised_guard(guard),
        Rule::TpSl(rule) => normalised_tp_sl(rule),
        Rule::AutoEntry(entry) => normalised_entry(entry),
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
        GuardAction::AddMargin { amount, fallback } => {
            config["action"] = json!("add_margin");
            config["add_margin_amount"] = json!(amount);
            match fallback {
                None => {}
                Some(Fallback::ClosePosition) => config["fallback"] = json!("close_position"),
                Some(Fallback::ReducePosition(percent)) => {
                    config["fallback"] = json!("reduce_position");
                    config["reduce_percentage"] = json!(percent);
                }
            }
        }
    }
    if let Some(most) = guard.max_per_day {
        config["max_executions_per_day"] = json!(most);
    }
    with_positions(config, &guard.positions)
}

fn normalised_tp_sl(rule: &TpSl) -> Value {
    let mut config = json!({
        "action": rule.action.as_str(),
        "trigger_pnl_percentage": rule.trigger_percentage,
        "pnl_basis": rule.basis,
        "direction": rule.direction,
        "cooldown_seconds": rule.cooldown.as_secs(),
    });
    match rule.action {
        TpSlAction::UpdateTp(to) => config["new_takeprofit"] = json!(to),
        TpSlAction::UpdateSl {
            to,
            replace_trailing,
        } => {
            config["new_stoploss"] = json!(to);
            config["replace_trailing"] = json!(replace_trailing);
        }
        TpSlAction::CloseTp | TpSlAction::CloseSl => {}
    }
    with_positions(config, &rule.positions)
}

fn normalised_entry(entry: &AutoEntry) -> Value {
    let mut config = json!({
        "side": entry.side,
        "quantity": entry.quantity,
        "leverage": entry.leverage,
        "margin_mode": entry.mode,
        "max_entries": entry.max_entries,
    });
    let prices = [
        ("trigger_price", entry.trigger),
        ("stoploss", entry.stoploss),
        ("takeprofit", entry.takeprofit),
    ];
    for (field, price) in prices {
        if let Some(price) = price {
            config[field] = json!(price);
        }
    }
    config
}

fn with_positions(mut config: Value, positions: &Positions) -> Value {
    if let Positions::These { .. } = positions {
        config["positions"] = json!(named(positions));
    }
    config
}

fn named(positions: &Positions) -> Vec<String> {
    match positions {
        Positions::All => vec![],
        Positions::These { ids, modes } => {
            let modes = modes.iter().map(|mode| mode.as_str().to_owned());
            modes.chain(ids.iter().map(ToString::to_string)).collect()
        }
    }
}

/// A rule in one line.
pub(super) fn summary(rule: &Rule) -> String {
    match rule {
        Rule::MarginGuard(guard) => guard_summary(guard),
        Rule::TpSl(rule) => tp_sl_summary(rule),
        Rule::AutoEntry(entry) => entry_summary(entry),
    }
}

fn guard_summary(guard: &MarginGuard) -> String {
    let action = match guard.action {
        GuardAction::ClosePosition => "close_position".to_owned(),
        GuardAction::ReducePosition(percent) => format!("reduce_position by {percent} %"),
        GuardAction::AddMargin { amount, fallback } => {
            let instead = match fallback {
                None => String::new(),
                Some(Fallback::ClosePosition) => " or else close_position".to_owned(),
                Some(Fallback::ReducePosition(percent)) => {
                    format!(" or else reduce_position by {percent} %")
                }
            };
            format!("add_margin {amount}{instead}")
        }
    };
    let sign = match guard.metric {
        Metric::LiquidationDistance => "<=",
        Metric::MarginRatio | Metric::MarginUsed => ">=",
    };
    let (metric, threshold) = (guard.metric.as_str(), guard.threshold);
    let cooldown = guard.cooldown.as_secs();
    let most = guard.max_per_day;
    let most = most.map_or_else(String::new, |most| format!(", at most {most} a day"));
    let only = only(&guard.positions);
    format!("{action} at {metric} {sign} {threshold}, cooldown {cooldown} s{most}{only}")
}

fn tp_sl_summary(rule: &TpSl) -> String {
    let action = match rule.action {
        TpSlAction::UpdateTp(to) => format!("update_tp to {to}"),
        TpSlAction::UpdateSl {
            to,
            replace_trailing: false,
        } => format!("update_sl to {to}"),
        TpSlAction::UpdateSl { to, .. } => format!("update_sl to {to}, also a trailing one,"),
        TpSlAction::CloseTp | TpSlAction::CloseSl => rule.action.as_str().to_owned(),
    };
    let what = match rule.direction {
        Direction::Any => "P&L of either sign",
        Direction::Profit => "profit",
        Direction::Loss => "loss",
    };
    let basis = match rule.basis {
        PnlBasis::Quantity => "the quantity",
        PnlBasis::Margin => "the margin",
    };
    let (percent, cooldown) = (rule.trigger_percentage, rule.cooldown.as_secs());
    let only = only(&rule.positions);
    format!("{action} at a {what} of {percent} % of {basis}, cooldown {cooldown} s{only}")
}

fn entry_summary(entry: &AutoEntry) -> String {
    let when = match entry.trigger {
        Some(trigger) => format!("at {trigger}"),
        None => "by job only".to_owned(),
    };
    let mut text = format!(
        "{} {} {}x {} {when}",
        entry.side.direction(),
        entry.quantity,
        entry.leverage,
        entry.mode.as_str()
    );
    for (name, price) in [
        ("stoploss", entry.stoploss),
        ("takeprofit", entry.takeprofit),
    ] {
        if let Some(price) = price {
            text.push_str(&format!(", {name} {price}"));
        }
    }
    let entries = if entry.max_entries == 1 {
        "entry"
    } else {
        "entries"
    };
    format!("{text}, at most {} {entries}", entry.max_entries)
}

fn only(positions: &Positions) -> String {
    match positions {
        Positions::All => String::new(),
        Positions::These { .. } => format!(", only for {}", named(positions).join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::RuleKind::{AutoEntry, MarginGuard, TpSl};

    #[test]
    fn a_rule_is_told_in_full_and_means_the_same_when_it_is_read_again() {
        let id = "6f0a1d1e-8c1a-4a52-9e0c-0a3d5b8b1a11";
        for (kind, config, told) in [
            (
                MarginGuard,
                json!({"action": "add_margin", "add_margin_amount": 500, "margin_threshold": 90}),
                "add_margin 500 sats at margin_ratio >= 0.9, cooldown 60 s".to_owned(),
            ),
            (
                MarginGuard,
                json!({"action": "add_margin", "add_margin_amount": 500, "margin_threshold": 0.7,
                       "metric": "margin_used", "fallback": "reduce_position",
                       "reduce_percentage": 25, "max_executions_per_day": 3,
                       "positions": ["cross", id]}),
                format!(
                    "add_margin 500 sats or else reduce_position by 25 % at margin_used >= 0.7, \
                     cooldown 60 s, at most 3 a day, only for cross, {id}"
                ),
            ),
            (
                MarginGuard,
                json!({"action": "reduce_position", "reduce_percentage": 12.5,
                       "margin_threshold": 0.02, "metric": "liquidation_distance"}),
                "reduce_position by 12.5 % at liquidation_distance <= 0.02, cooldown 60 s"
                    .to_owned(),
            ),
            (
                TpSl,
                json!({"action": "update_sl", "new_stoploss": 42_000.5, "replace_trailing": true,
                       "trigger_pnl_percentage": 20, "pnl_basis": "margin",
                       "direction": "profit", "positions": ["isolated"]}),
                "update_sl to 42000.5, also a trailing one, at a profit of 20 % of the margin, \
                 cooldown 60 s, only for isolated"
                    .to_owned(),
            ),
            (
                TpSl,
                json!({"action": "close_tp", "trigger_pnl_percentage": 5}),
                "close_tp at a P&L of either sign of 5 % of the quantity, cooldown 60 s".to_owned(),
            ),
            (
                AutoEntry,
                json!({"side": "b", "quantity": 1000, "trigger_price": 42_000, "stoploss": 40_000,
                       "takeprofit": 45_000, "max_entries": 2}),
                "long 1000 USD 10x isolated at 42000, stoploss 40000, takeprofit 45000, at most 2 \
                 entries"
                    .to_owned(),
            ),
            (
                AutoEntry,
                json!({"side": "sell", "quantity": 5, "leverage": 3, "margin_mode": "cross"}),
                "short 5 USD 3x cross by job only, at most 1 entry".to_owned(),
            ),
        ] {
            let rule = Rule::parse(kind, &config).unwrap();
            assert_eq!(summary(&rule), told);
            assert_eq!(Rule::parse(kind, &normalised(&rule)), Ok(rule));
        }
    }
}
