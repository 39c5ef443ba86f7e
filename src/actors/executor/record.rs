//! The end of an execution, as it goes into the journal and to whoever listens.

use serde_json::Value;

use super::super::audit_log::RecordDone;
use super::super::limits;
use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::{Next, store_failed};
use crate::domain::audit;
use crate::domain::execution::{self, Action, SkipReason, State};
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// Records what was applied, with its audit entry. Until that stands, it is tried again.
pub(super) async fn record(shared: &Shared, work: Work) -> Next {
    let Step::Record { action, outcome } = work.step.clone() else {
        return Next::step(work, Step::LookUp);
    };
    let account = &work.account;
    if let Action::Reopen(_) = action
        && let Some(successor) = outcome["successorId"].as_str()
        && let Ok(successor) = successor.parse()
    {
        // What the trade inherits stands before the execution has ended.
        let now = shared.clock.utc();
        match shared.journal.succeed(work.id, successor, now).await {
            Ok(_) => account.succeed(successor, work.position),
            Err(error) => return store_failed(shared, work, &error),
        }
    }
    let actor = audit::Actor {
        automation: &work.automation,
        execution: work.id,
        account: &account.tag.id,
        account_name: &account.tag.name,
    };
    let at = shared.clock.utc();
    let act = audit::Act {
        position: work.position,
        action,
        decision: &work.decision,
        outcome: &outcome,
    };
    let entry = audit::Entry::of(&actor, &act, at);
    let record = RecordDone {
        execution: work.id,
        outcome: outcome.clone(),
        entry,
    };
    failpoint::pass("execution.recording", &account.tag.name);
    match shared.audit_log.ask(record).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return store_failed(shared, work, &error),
        // It is being restarted; whether it recorded before it died does not matter.
        Err(_) => return Next::again_soon(shared, work),
    }
    failpoint::pass("execution.recorded", &work.account.tag.name);
    shared.events.emit(Event::Done {
        account: account.tag.clone(),
        execution: work.id,
        automation: work.automation.clone(),
        position: work.position,
        action,
        tick_to_order_us: outcome["tickToOrderUs"].as_u64(),
        request_us: outcome["requestUs"].as_u64(),
    });
    Next::ended(shared, &work, State::Done, None)
}

/// Records that it was not applied.
pub(super) async fn fail(shared: &Shared, work: Work, reason: String, evidence: Value) -> Next {
    let now = shared.clock.utc();
    let paused = match shared.journal.fail(work.id, &reason, evidence, now).await {
        Ok(paused) => paused,
        Err(error) => return store_failed(shared, work, &error),
    };
    let action = doing(&work);
    shared.events.emit(Event::Failed {
        account: work.account.tag.clone(),
        execution: work.id,
        automation: work.automation.clone(),
        position: work.position,
        action,
        reason,
    });
    limits::tell_paused(shared, &work.account.tag, paused);
    Next::ended(shared, &work, State::Failed, None)
}

/// Records that only a person can tell.
pub(super) async fn uncertain(shared: &Shared, work: Work, evidence: Value) -> Next {
    let (text, now) = (evidence.to_string(), shared.clock.utc());
    let paused = match shared.journal.uncertain(work.id, evidence, now).await {
        Ok(paused) => paused,
        Err(error) => return store_failed(shared, work, &error),
    };
    let action = doing(&work);
    shared.events.emit(Event::Uncertain {
        account: work.account.tag.clone(),
        execution: work.id,
        automation: work.automation.clone(),
        position: work.position,
        action,
        evidence: text,
    });
    limits::tell_paused(shared, &work.account.tag, paused);
    Next::ended(shared, &work, State::Uncertain, None)
}

/// Records that it was never sent.
pub(super) async fn skip(shared: &Shared, work: Work, reason: SkipReason) -> Next {
    if let Err(error) = shared
        .journal
        .skip(work.id, reason, shared.clock.utc())
        .await
    {
        return store_failed(shared, work, &error);
    }
    let action = doing(&work);
    shared.events.emit(Event::Skipped {
        account: work.account.tag.clone(),
        execution: work.id,
        automation: work.automation.clone(),
        position: work.position,
        action,
        reason,
    });
    Next::ended(shared, &work, State::Skipped, Some(reason))
}

/// What an execution does, or was to do. Where its rule is gone or has changed, it was nothing any
/// more.
pub(super) fn doing(work: &Work) -> &'static str {
    match (&work.step, work.rule.as_deref()) {
        (Step::Prove { action, .. } | Step::Record { action, .. }, _) => action.as_str(),
        (Step::Reopen(kept), _) => Action::Reopen(*kept).as_str(),
        (Step::FirstLegDone { then, .. }, _) => {
            let keep = then.quantity;
            Action::CloseToReopen { keep }.as_str()
        }
        (Step::Send | Step::LookUp, Some(rule)) => {
            let view = work.account.view.load();
            let position = view.row(work.position).map(|row| &row.position);
            execution::planned(rule, work.decision.fallback, position).as_str()
        }
        (Step::Send | Step::LookUp, None) => "none",
    }
}
