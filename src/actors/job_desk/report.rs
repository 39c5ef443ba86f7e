//! What a job's producer is told of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::shared::Shared;
use super::check::{self, Checked};
use super::plan::Plan;
use crate::domain::audit::iso;
use crate::domain::execution::{State, is_worth_retrying};
use crate::domain::jobs::JobKey;
use crate::journal::Execution;
use crate::queue::Outcome;

/// The outcome of a job all of whose executions have ended.
pub(super) async fn outcome(shared: &Shared, checked: &Checked, plan: Plan) -> Outcome {
    let mut rows = vec![];
    for id in &plan.report_on {
        match shared.journal.execution(*id).await {
            Ok(row) => rows.push(row),
            Err(error) => return check::store_failed(shared, checked.due_at, &error),
        }
    }
    // What could not be done and was replaced speaks no longer.
    let replaced = |row: &Execution| {
        rows.iter()
            .any(|other| other.decision.fallback && other.position == row.position)
    };
    let troubled = |row: &&Execution| {
        matches!(row.state, State::Failed | State::Uncertain)
            && (row.decision.fallback || !replaced(row))
    };
    let trouble: Vec<_> = rows.iter().filter(troubled).collect();
    if let Some(first) = trouble.first() {
        let reason = format!(
            "{} of {} executions: {} {}: {}",
            trouble.len(),
            rows.len(),
            first.id,
            first.state,
            first.reason.as_deref().unwrap_or("look at the exchange")
        );
        let worth = |row: &&Execution| {
            row.state == State::Failed && row.reason.as_deref().is_some_and(is_worth_retrying)
        };
        return if trouble.iter().all(worth) {
            Outcome::Retry(reason)
        } else {
            Outcome::Failed(reason)
        };
    }
    let mut executions: Vec<_> = rows.iter().map(told).collect();
    executions.extend(plan.remarks);
    let any = |status: &str| executions.iter().any(|told| told["status"] == status);
    let status = if any("completed") {
        "completed"
    } else if any("pending") {
        "pending"
    } else {
        "skipped"
    };
    Outcome::Completed(value(shared, checked, status, executions))
}

fn told(row: &Execution) -> Value {
    let status = match row.state {
        State::Done => "completed",
        State::Skipped => "skipped",
        State::Failed | State::Uncertain => "error",
        State::Planned | State::Sending => "pending",
    };
    json!({
        "executionId": row.id, "positionId": row.position, "action": row.decision.wanted,
        "status": status, "reason": row.reason, "outcome": row.outcome,
        "metric": row.decision.metric, "metricValue": row.decision.metric_value,
        "price": row.decision.price,
    })
}

fn value(shared: &Shared, checked: &Checked, status: &str, executions: Vec<Value>) -> Value {
    let automation = &checked.automation;
    let mut value = json!({
        "status": status,
        "action": checked.action(),
        "timestamp": iso(shared.clock.utc()),
        "automationId": automation.id,
        "userId": automation.user_id,
        "accountId": automation.account_id,
        "accountName": &*checked.account.tag.name,
        "executions": executions,
    });
    // Where one reason speaks for all, it is told at the top as well.
    for key in ["reason", "currentPrice", "triggerPrice", "executionId"] {
        let told = &value["executions"][0][key];
        if status != "completed"
            && value["executions"]
                .as_array()
                .is_some_and(|all| all.len() == 1)
            && !told.is_null()
        {
            value[key] = told.clone();
        }
    }
    value
}

/// The outcome of a job that another one answers for.
pub(super) fn coalesced(shared: &Shared, checked: &Checked, with: &JobKey) -> Outcome {
    let mut value = value(shared, checked, "skipped", vec![]);
    value["reason"] = json!("coalesced");
    value["coalescedWith"] = json!(&*with.id);
    Outcome::Completed(value)
}

/// The outcome of a job that came too late.
pub(super) fn expired(age: Duration, most: Duration) -> Outcome {
    Outcome::Failed(format!(
        "expired: it was due {} s ago, and queue.max_job_age_ms allows {} s",
        age.as_secs(),
        most.as_secs()
    ))
}

/// Logs what became of a job.
pub(super) fn tell(_: &Shared, checked: &Checked, outcome: &Outcome) {
    let (tag, key) = (&checked.account.tag, &checked.key);
    let (id, automation) = (&tag.id, &checked.automation.id);
    match outcome {
        Outcome::Completed(value) => tracing::info!(
            event = "job.completed", account_id = %id, account_name = %tag.name, job = %key,
            %automation, status = value["status"].as_str(), reason = value["reason"].as_str()
        ),
        Outcome::Retry(reason) => tracing::warn!(
            event = "job.attempt_failed", account_id = %id, account_name = %tag.name, job = %key,
            %automation, reason
        ),
        Outcome::Failed(reason) => tracing::error!(
            event = "job.failed", account_id = %id, account_name = %tag.name, job = %key,
            %automation, reason
        ),
        Outcome::Later(_) | Outcome::Released => {}
    }
}

/// Logs that a job was refused before its account was known.
pub(super) fn tell_refused(key: &JobKey, outcome: &Outcome) {
    if let Outcome::Failed(reason) | Outcome::Retry(reason) = outcome {
        tracing::warn!(event = "job.refused", job = %key, reason);
    }
}
