//! Audit entries: the permanent record of an executed action, in the shape the old worker's
//! readers know.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::execution::{Action, Decision, LeftOut};
use super::ids::{AccountId, AutomationId, ExecutionId, PositionId};
use super::rules::RuleKind;
use super::rules::auto_entry::MARKET;

/// An audit entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The automation that acted.
    #[serde(rename = "automationId")]
    pub automation_id: AutomationId,
    /// What kind of entry it is, for example `margin_guard_executed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence for people.
    pub message: String,
    /// The particulars.
    pub data: Value,
    /// When the action was done, ISO 8601, UTC.
    pub timestamp: String,
}

/// Whose act it was.
#[derive(Clone, Debug)]
pub struct Actor<'a> {
    /// The automation.
    pub automation: &'a AutomationId,
    /// The execution.
    pub execution: ExecutionId,
    /// The account.
    pub account: &'a AccountId,
    /// The account's name.
    pub account_name: &'a str,
}

/// What an entry tells of beside who acted and what was decided.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// The position acted on; the market's for an entry.
    pub position: PositionId,
    /// The command that was applied, the last of several.
    pub action: Action,
    /// What was known when it was decided.
    pub decision: &'a Decision,
    /// What came of it: the exchange's answer, or how it was proven.
    pub outcome: &'a Value,
}

/// Keys of an outcome that are worth keeping in the entry.
const TOLD: [&str; 4] = ["tradeId", "successorId", "exitPrice", "price"];

impl Entry {
    /// The entry of an executed act. Figures that are infinite are null: JSON has no infinity.
    pub fn of(actor: &Actor<'_>, act: &Act<'_>, at: DateTime<Utc>) -> Self {
        let Act {
            position, decision, ..
        } = act;
        let verb = decision.wanted.as_str();
        let (message, data) = match (decision.rule, act.action) {
            (RuleKind::AutoEntry, Action::Open(opening) | Action::CrossOpen(opening)) => {
                let (side, quantity) = (opening.side.letter(), opening.quantity);
                let data = json!({
                    "tradeId": act.outcome["tradeId"], "side": side, "quantity": quantity,
                    "leverage": number(opening.leverage), "market": MARKET,
                    "marginMode": act.action.mode(),
                });
                (
                    format!("Auto Entry executed: {side} {} contracts", quantity.0),
                    data,
                )
            }
            (RuleKind::TpSl, _) => {
                let data = json!({
                    "positionId": position, "pnl": decision.pnl,
                    "pnlPercentage": decision.pnl_percentage, "action": verb,
                });
                (
                    format!("TP/SL executed: {verb} for position {position}"),
                    data,
                )
            }
            (RuleKind::MarginGuard | RuleKind::AutoEntry, _) => {
                let data = json!({
                    "positionId": position, "marginRatio": decision.margin_ratio, "action": verb,
                });
                (
                    format!("Margin Guard executed: {verb} for position {position}"),
                    data,
                )
            }
        };
        let mut entry = Self {
            automation_id: actor.automation.clone(),
            kind: format!("{}_executed", decision.rule),
            message,
            data,
            timestamp: iso(at),
        };
        entry.tell_more(actor, act);
        entry
    }

    /// The keys that follow those of the old worker.
    fn tell_more(&mut self, actor: &Actor<'_>, act: &Act<'_>) {
        let decision = act.decision;
        let data = &mut self.data;
        data["executionId"] = json!(actor.execution);
        data["accountId"] = json!(actor.account);
        data["accountName"] = json!(actor.account_name);
        data["metric"] = json!(decision.metric);
        data["metricValue"] = json!(decision.metric_value);
        data["price"] = json!(decision.price);
        data["dataAgeMs"] = json!(decision.data_age_ms);
        match act.action {
            Action::AddMargin { amount } | Action::CrossDeposit { amount } => {
                data["amount"] = json!(amount);
            }
            Action::UpdateTp { to } => data["takeprofit"] = json!(to),
            Action::UpdateSl { to } => data["stoploss"] = json!(to),
            Action::CrossReduce { quantity, .. } => data["quantity"] = json!(quantity),
            Action::Reopen(kept) => {
                data["kept"] = json!(kept.quantity);
                if kept.left_out != LeftOut::default() {
                    data["leftOut"] = json!(kept.left_out.names());
                }
            }
            _ => {}
        }
        for key in TOLD {
            let told = act.outcome.get(key).filter(|told| !told.is_null());
            if let (Some(told), None) = (told, data.get(key)) {
                data[key] = told.clone();
            }
        }
    }
}

/// Whole numbers without a fraction, as the old worker's readers know them.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// A time as ISO 8601 in UTC, with milliseconds only where there are any.
pub fn iso(at: DateTime<Utc>) -> String {
    let digits = match at.timestamp_subsec_millis() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Millis,
    };
    at.to_rfc3339_opts(digits, true)
}

#[cfg(test)]
mod tests {
    use super::super::execution::Opening;
    use super::super::position::Side;
    use super::super::units::{Sats, Usd};
    use super::*;

    /// The entry's JSON with only those keys of `data` that the old worker's readers know.
    fn old_shape(act: &Act<'_>, keys: &[&str]) -> Value {
        let (automation, account) = (AutomationId::new("auto_123"), AccountId::new("acc"));
        let actor = Actor {
            automation: &automation,
            execution: ExecutionId(uuid::Uuid::from_u128(9)),
            account: &account,
            account_name: "main",
        };
        let at = "2025-01-10T00:05:00Z".parse().unwrap();
        let mut entry = serde_json::to_value(Entry::of(&actor, act, at)).unwrap();
        let data = entry["data"].as_object_mut().unwrap();
        assert_eq!(data["executionId"], json!(actor.execution));
        data.retain(|key, _| keys.contains(&key.as_str()));
        entry
    }

    fn decision(rule: RuleKind, wanted: &str) -> Decision {
        Decision {
            rule,
            wanted: wanted.into(),
            fallback: false,
            metric: "margin_ratio".into(),
            metric_value: Some(0.85),
            threshold: 0.8,
            margin_ratio: Some(0.85),
            pnl: Some(Sats(150)),
            pnl_percentage: Some(15.05),
            price: super::super::units::Price::from_usd(68_020.5).unwrap(),
            data_age_ms: 12,
            position: None,
            level: Default::default(),
            network: None,
        }
    }

    #[test]
    fn a_guards_entry_has_the_shape_of_the_old_worker() {
        let position = PositionId(uuid::Uuid::from_u128(7));
        let act = Act {
            position,
            action: Action::ClosePosition,
            decision: &decision(RuleKind::MarginGuard, "close_position"),
            outcome: &Value::Null,
        };
        let expected = json!({
            "automationId": "auto_123",
            "type": "margin_guard_executed",
            "message": format!("Margin Guard executed: close_position for position {position}"),
            "data": {"positionId": position, "marginRatio": 0.85, "action": "close_position"},
            "timestamp": "2025-01-10T00:05:00Z"
        });
        assert_eq!(
            old_shape(&act, &["positionId", "marginRatio", "action"]),
            expected
        );
    }

    #[test]
    fn a_tp_sl_entry_has_the_shape_of_the_old_worker() {
        let position = PositionId(uuid::Uuid::from_u128(7));
        let to = super::super::units::Price::from_usd(75_000.0).unwrap();
        let act = Act {
            position,
            action: Action::UpdateTp { to },
            decision: &decision(RuleKind::TpSl, "update_tp"),
            outcome: &Value::Null,
        };
        let expected = json!({
            "automationId": "auto_123",
            "type": "tp_sl_executed",
            "message": format!("TP/SL executed: update_tp for position {position}"),
            "data": {
                "positionId": position, "pnl": 150, "pnlPercentage": 15.05,
                "action": "update_tp"
            },
            "timestamp": "2025-01-10T00:05:00Z"
        });
        let keys = ["positionId", "pnl", "pnlPercentage", "action"];
        assert_eq!(old_shape(&act, &keys), expected);
    }

    #[test]
    fn an_entrys_entry_has_the_shape_of_the_old_worker() {
        let opening = Opening {
            side: Side::Buy,
            quantity: Usd(1000),
            leverage: 10.0,
            stoploss: None,
            takeprofit: None,
        };
        let act = Act {
            position: PositionId::MARKET,
            action: Action::Open(opening),
            decision: &decision(RuleKind::AutoEntry, "open_position"),
            outcome: &json!({"tradeId": "trade_789"}),
        };
        let expected = json!({
            "automationId": "auto_123",
            "type": "auto_entry_executed",
            "message": "Auto Entry executed: b 1000 contracts",
            "data": {
                "tradeId": "trade_789", "side": "b", "quantity": 1000, "leverage": 10,
                "market": "btcusd"
            },
            "timestamp": "2025-01-10T00:05:00Z"
        });
        let keys = ["tradeId", "side", "quantity", "leverage", "market"];
        assert_eq!(old_shape(&act, &keys), expected);
    }
}
