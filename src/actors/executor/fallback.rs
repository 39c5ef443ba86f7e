//! What is done where no margin could be added.

use serde_json::{Value, json};

use super::super::limits;
use super::super::shared::Shared;
use super::super::work::Work;
use super::{Next, Verdict, record, store_failed};
use crate::domain::arming::Ended;
use crate::domain::execution::{self, SkipReason, State};
use crate::domain::ids::ExecutionId;
use crate::domain::protection::DailyLimit;
use crate::domain::rules::Rule;
use crate::journal::FallingBack;
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// Nothing was added: the execution has failed, and the rule's fallback takes its place, if it has
/// one.
pub(super) async fn nothing_added(
    shared: &Shared,
    work: Work,
    reason: String,
    evidence: Value,
) -> Next {
    let Some(rule) = work.rule.clone().filter(|rule| has_fallback(rule)) else {
        return record::fail(shared, work, reason, evidence).await;
    };
    let present = shared.present(&work.account);
    let row = present.view.load().row(work.position).cloned();
    let position = row.as_ref().map(|row| &row.position);
    let instead = FallingBack {
        id: ExecutionId(uuid::Uuid::now_v7()),
        action: execution::planned(&rule, true, position),
        decision: work.decision.falling_back(&rule),
    };
    let (decision, now) = (instead.decision.clone(), shared.clock.utc());
    let stands = shared
        .journal
        .fall_back(work.id, &reason, evidence, instead, now)
        .await;
    let id = match stands {
        Ok(id) => id,
        Err(error) => return store_failed(shared, work, &error),
    };
    failpoint::pass("execution.fallen_back", &work.account.tag.name);
    shared.events.emit(Event::Failed {
        account: work.account.tag.clone(),
        execution: work.id,
        automation: work.automation.clone(),
        position: work.position,
        action: record::doing(&work),
        reason,
    });
    let ended = Ended {
        execution: work.id,
        state: State::Failed,
        skipped: None,
        at: now,
    };
    Next::Verdict(Verdict::Instead {
        ended,
        work: Box::new(work.instead(id, decision)),
    })
}

/// It may not be let out. Where no margin may be added any more today, what the rule wants in its
/// place is done.
pub(super) async fn held_back(shared: &Shared, work: Work, reason: SkipReason) -> Next {
    if let Some(limit) = reason.daily_limit() {
        limits::tell(shared, &work.account.tag, limit, shared.clock.utc());
        if limit == DailyLimit::DailySats && is_there(&work) {
            let reason = limit.as_str().to_owned();
            return nothing_added(shared, work, reason, json!({})).await;
        }
    }
    record::skip(shared, work, reason).await
}

/// Whether an execution's rule has a fallback.
fn is_there(work: &Work) -> bool {
    work.rule.as_deref().is_some_and(has_fallback)
}

fn has_fallback(rule: &Rule) -> bool {
    matches!(rule, Rule::MarginGuard(guard) if guard.falls_back())
}
