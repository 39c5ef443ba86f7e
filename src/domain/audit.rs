//! Audit entries: the permanent record of an executed action, in the shape the old worker's
//! readers know.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::execution::{Action, Decision};
use super::ids::{AccountId, AutomationId, ExecutionId, PositionId};

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

impl Entry {
    /// The entry of a margin guard that acted. An infinite margin ratio is null: JSON has no
    /// infinity.
    pub fn margin_guard(
        actor: &Actor<'_>,
        position: PositionId,
        action: Action,
        decision: &Decision,
        at: DateTime<Utc>,
    ) -> Self {
        let verb = action.as_str();
        let mut data = json!({
            "positionId": position,
            "marginRatio": decision.margin_ratio,
            "action": verb,
            "executionId": actor.execution,
            "accountId": actor.account,
            "accountName": actor.account_name,
            "metric": decision.metric,
            "metricValue": decision.metric_value,
            "price": decision.price,
            "dataAgeMs": decision.data_age_ms,
        });
        if let Action::AddMargin { amount } = action {
            data["amount"] = json!(amount);
        }
        Self {
            automation_id: actor.automation.clone(),
            kind: "margin_guard_executed".to_owned(),
            message: format!("Margin Guard executed: {verb} for position {position}"),
            data,
            timestamp: iso(at),
        }
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
    use super::*;

    #[test]
    fn an_entry_has_the_shape_of_the_old_worker_with_more_keys_inside_data() {
        let position = PositionId(uuid::Uuid::from_u128(7));
        let decision = Decision {
            metric: "margin_ratio".into(),
            metric_value: Some(0.85),
            threshold: 0.8,
            margin_ratio: Some(0.85),
            price: super::super::units::Price::from_usd(68_020.5).unwrap(),
            data_age_ms: 12,
        };
        let (automation, account) = (AutomationId::new("auto_123"), AccountId::new("acc"));
        let actor = Actor {
            automation: &automation,
            execution: ExecutionId(uuid::Uuid::from_u128(9)),
            account: &account,
            account_name: "main",
        };
        let at = "2025-01-10T00:05:00Z".parse().unwrap();
        let entry = Entry::margin_guard(&actor, position, Action::ClosePosition, &decision, at);
        let mut entry = serde_json::to_value(entry).unwrap();
        let data = entry["data"].as_object_mut().unwrap();
        data.retain(|key, _| ["positionId", "marginRatio", "action"].contains(&key.as_str()));
        let expected = json!({
            "automationId": "auto_123",
            "type": "margin_guard_executed",
            "message": format!("Margin Guard executed: close_position for position {position}"),
            "data": {
                "positionId": position, "marginRatio": 0.85, "action": "close_position"
            },
            "timestamp": "2025-01-10T00:05:00Z"
        });
        assert_eq!(entry, expected);
    }
}
