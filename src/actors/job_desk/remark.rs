//! What a job says of a position for which nothing is done.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::execution::{Decision, Seen, SkipReason};
use crate::domain::ids::PositionId;
use crate::domain::position::Position;
use crate::domain::rules::{Rule, Subject};
use crate::journal::FireResult;

/// The rule is not true now.
pub(super) fn not_reached(
    rule: &Rule,
    id: PositionId,
    position: Option<&Position>,
    seen: Seen,
) -> Value {
    if let Rule::AutoEntry(entry) = rule {
        return json!({
            "status": "pending", "reason": "price_not_triggered",
            "currentPrice": seen.price, "triggerPrice": entry.trigger,
        });
    }
    let subject = position.map_or(Subject::Market, Subject::Position);
    let decision = Decision::of(rule, subject, seen);
    json!({
        "positionId": id, "status": "skipped", "reason": "condition_not_met",
        "metric": decision.metric, "metricValue": decision.metric_value,
        "threshold": decision.threshold, "currentPrice": seen.price,
    })
}

/// A kill switch is on, or the account is paused.
pub(super) fn held_back(position: PositionId, reason: SkipReason) -> Value {
    json!({ "positionId": position, "status": "skipped", "reason": reason })
}

/// The automation, or its account, has acted as often as it may, for a while or at all.
pub(super) fn limited(position: PositionId, limit: FireResult) -> Value {
    let (reason, until): (_, Option<DateTime<Utc>>) = match limit {
        FireResult::LimitReached { until } => ("daily_limit", Some(until)),
        FireResult::ProtectionReached { limit, until } => (limit.as_str(), Some(until)),
        _ => ("completed", None),
    };
    json!({
        "positionId": position, "status": "skipped", "reason": reason, "until": until,
    })
}
