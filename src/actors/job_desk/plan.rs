//! The plan of a job: which positions it concerns now, and the execution of each, written down by
//! its first attempt and taken up by every later one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::limits;
use super::super::shared::{Row, Shared};
use super::super::work::Work;
use super::check::{self, Checked};
use super::remark;
use crate::domain::execution::{self, Danger, Decision, Seen, SkipReason, State};
use crate::domain::ids::{ExecutionId, PositionId};
use crate::domain::rules::Subject;
use crate::journal::{Execution, Filter, FireResult, JournalError, NewExecution, OpenedEpisode};
use crate::queue::Outcome;

/// What a job comes to.
#[derive(Clone, Default)]
pub(super) struct Plan {
    /// Executions to be carried out.
    pub(super) works: Vec<Work>,
    /// Executions of others that do what this job asks for, and have not ended.
    pub(super) others: Vec<ExecutionId>,
    /// Executions whose end is told.
    pub(super) report_on: Vec<ExecutionId>,
    /// What is told of positions that come to no execution.
    pub(super) remarks: Vec<Value>,
}

/// Makes or takes up a job's plan.
pub(super) async fn plan(shared: &Shared, checked: &Checked) -> Result<Plan, Outcome> {
    let retry = |error: JournalError| check::store_failed(shared, checked.due_at, &error);
    let (queue, key) = (&shared.tuning.queue, &checked.key);
    let job = execution::job_key(queue, &key.id, key.added_at);
    let rows = shared.journal.plan_of(&job).await.map_err(retry)?;
    if !rows.is_empty() {
        return take_up(shared, checked, rows).await;
    }
    let sight = look(shared, checked)?;
    if checked.automation.live {
        fire(shared, checked, sight).await
    } else {
        freeze(shared, checked, sight, job).await
    }
}

/// What an earlier attempt planned: what has failed is planned anew, what is done stays done.
async fn take_up(
    shared: &Shared,
    checked: &Checked,
    rows: Vec<Execution>,
) -> Result<Plan, Outcome> {
    let mut plan = Plan::default();
    for row in rows {
        let (id, fallback) = (row.id, row.decision.fallback);
        plan.report_on.push(id);
        let again = match row.state {
            State::Planned | State::Sending => true,
            // In its place another was carried out, which speaks for both.
            State::Failed if !fallback && is_replaced(shared, checked, &row).await? => false,
            State::Failed => shared
                .journal
                .plan_anew(id)
                .await
                .map_err(|error| check::store_failed(shared, checked.due_at, &error))?,
            State::Done | State::Uncertain | State::Skipped => false,
        };
        if again {
            let (account, rule) = (Arc::clone(&checked.account), Arc::clone(&checked.rule));
            plan.works.push(Work::recovered(row, account, Some(rule)));
        }
    }
    Ok(plan)
}

async fn is_replaced(shared: &Shared, checked: &Checked, row: &Execution) -> Result<bool, Outcome> {
    let key = execution::fallback_key(&row.trigger_key);
    let found = shared.journal.plan_of(&row.trigger_key).await;
    let rows = found.map_err(|error| check::store_failed(shared, checked.due_at, &error))?;
    Ok(rows.iter().any(|row| row.trigger_key == key))
}

/// One thing that the job may act on, and whether its rule is true there.
struct Considered {
    position: PositionId,
    row: Option<Row>,
    reached: bool,
}

struct Look {
    seen: Seen,
    considered: Vec<Considered>,
    remarks: Vec<Value>,
}

impl Considered {
    fn not_reached(&self, checked: &Checked, seen: Seen) -> Value {
        let position = self.row.as_ref().map(|row| &row.position);
        remark::not_reached(&checked.rule, self.position, position, seen)
    }
}

/// Evaluates the rule once, now, for all positions or for the one that is asked for.
fn look(shared: &Shared, checked: &Checked) -> Result<Look, Outcome> {
    let account = &shared.present(&checked.account);
    let (now, view) = (shared.clock.mono(), account.view.load_full());
    let (name, rule) = (&account.tag.name, &checked.rule);
    let read_at = view
        .read_at
        .filter(|at| now.saturating_sub(*at) < shared.tuning.link.book_blind);
    let asked = checked.payload.position;
    let knows = rule.is_entry() || asked.map_or(view.cross_known, |id| view.knows_of(id));
    // A cross account that cannot be read for long keeps nobody from guarding the trades.
    if read_at.is_none() || (!knows && check::is_beginning(shared)) {
        let what = format!("the positions of account {name} cannot be read now");
        return Err(check::not_yet(shared, what));
    }
    let price = &account.network.price;
    let Some(seen) = price.usable(now, &shared.tuning.freshness) else {
        return Err(check::not_yet(shared, "no source confirms the price now"));
    };
    let mut look = Look {
        seen,
        considered: vec![],
        remarks: vec![],
    };
    if rule.is_entry() {
        look.considered.push(Considered {
            position: PositionId::MARKET,
            row: None,
            reached: rule.is_reached(Subject::Market, seen.price),
        });
        return Ok(look);
    }
    let lineage = account.lineage.load_full();
    // A trade that was reopened meanwhile is the one that is meant.
    let asked = checked.payload.position.map(|id| lineage.latest(id));
    let rows = view
        .rows
        .iter()
        .filter(|row| asked.is_none_or(|id| row.position.id == id));
    for row in rows {
        if !rule.is_for(&row.position, &lineage) {
            continue;
        }
        look.considered.push(Considered {
            position: row.position.id,
            reached: rule.is_reached((&row.position).into(), seen.price),
            row: Some(row.clone()),
        });
    }
    if let Some(id) = asked.filter(|_| look.considered.is_empty()) {
        look.remarks.push(json!({
            "positionId": id, "status": "skipped", "reason": "position_gone",
        }));
    }
    Ok(look)
}

/// A job for an automation that acts by itself uses its present episode: whichever comes first, the
/// effect is one.
async fn fire(shared: &Shared, checked: &Checked, look: Look) -> Result<Plan, Outcome> {
    let retry = |error: JournalError| check::store_failed(shared, checked.due_at, &error);
    let (journal, automation) = (&shared.journal, &checked.automation);
    let (now, version) = (shared.clock.utc(), automation.rule_version);
    let mut plan = Plan {
        remarks: look.remarks,
        ..Plan::default()
    };
    for considered in look.considered {
        if !considered.reached {
            plan.remarks
                .push(considered.not_reached(checked, look.seen));
            continue;
        }
        let id = considered.position;
        let protects = execution::protects(&checked.rule);
        let opened = journal.open_episode(&automation.id, id, version, 1, now, protects);
        let episode = match opened.await.map_err(retry)? {
            OpenedEpisode::Armed { episode, from } if from <= now => episode,
            // Armed for the end of the cooldown: what it fired last is what was asked for.
            OpenedEpisode::Armed { from, .. } => {
                match last_of(shared, checked, id).await.map_err(retry)? {
                    Some(last) => before(shared, checked, &mut plan, last).await?,
                    None => plan.remarks.push(json!({
                        "positionId": id, "status": "skipped", "reason": "cooldown", "until": from,
                    })),
                }
                continue;
            }
            OpenedEpisode::Fired { execution, .. } => {
                before(shared, checked, &mut plan, execution).await?;
                continue;
            }
        };
        let (work, new) = intent(checked, &considered, look.seen, episode);
        let result = journal.fire(new, checked.rule.limits(), now).await;
        let held = match result {
            Err(JournalError::Stopped) => Some(SkipReason::KillSwitch),
            Err(JournalError::Paused) => Some(SkipReason::AccountPaused),
            _ => None,
        };
        if let Some(reason) = held {
            plan.remarks.push(remark::held_back(id, reason));
            continue;
        }
        match result.map_err(retry)? {
            FireResult::Fired => {
                plan.report_on.push(work.id);
                plan.works.push(work);
            }
            FireResult::FiredBefore(execution) => {
                before(shared, checked, &mut plan, execution).await?
            }
            limit => plan.remarks.push(limited(shared, checked, id, limit)),
        }
    }
    Ok(plan)
}

async fn last_of(
    shared: &Shared,
    checked: &Checked,
    position: PositionId,
) -> Result<Option<ExecutionId>, JournalError> {
    let filter = Filter {
        automation: Some(checked.automation.id.clone()),
        ..Filter::default()
    };
    let latest_first = shared.journal.executions(&filter).await?.rows;
    let mut ours = latest_first.iter().filter(|row| row.position == position);
    Ok(ours.next().map(|row| row.id))
}

/// The present episode has fired: its execution is waited for, or was carried out already.
async fn before(
    shared: &Shared,
    checked: &Checked,
    plan: &mut Plan,
    id: ExecutionId,
) -> Result<(), Outcome> {
    let row = shared.journal.execution(id).await;
    let row = row.map_err(|error| check::store_failed(shared, checked.due_at, &error))?;
    if row.state.is_final() {
        plan.remarks.push(json!({
            "executionId": id, "positionId": row.position, "action": row.decision.wanted,
            "status": "skipped", "reason": "already_executed",
        }));
    } else {
        plan.others.push(id);
        plan.report_on.push(id);
    }
    Ok(())
}

/// A job for an automation that acts by jobs alone: one execution for each position where the rule
/// is true now, all written down at once.
async fn freeze(
    shared: &Shared,
    checked: &Checked,
    look: Look,
    job: String,
) -> Result<Plan, Outcome> {
    let mut plan = Plan {
        remarks: look.remarks,
        ..Plan::default()
    };
    let (mut works, mut rows) = (vec![], vec![]);
    for considered in look.considered {
        if considered.reached {
            let (work, new) = intent(checked, &considered, look.seen, 0);
            works.push(work);
            rows.push(new);
        } else {
            plan.remarks
                .push(considered.not_reached(checked, look.seen));
        }
    }
    if rows.is_empty() {
        return Ok(plan);
    }
    let (now, its) = (shared.clock.utc(), checked.rule.limits());
    let frozen = shared.journal.freeze_plan(job, rows, its, now).await;
    let results = frozen.map_err(|error| check::store_failed(shared, checked.due_at, &error))?;
    for (work, result) in works.into_iter().zip(results) {
        match result {
            FireResult::Fired => {
                plan.report_on.push(work.id);
                plan.works.push(work);
            }
            FireResult::FiredBefore(id) => before(shared, checked, &mut plan, id).await?,
            limit => plan
                .remarks
                .push(limited(shared, checked, work.position, limit)),
        }
    }
    Ok(plan)
}

fn limited(shared: &Shared, checked: &Checked, id: PositionId, limit: FireResult) -> Value {
    if let FireResult::ProtectionReached { limit, .. } = limit {
        limits::tell(shared, &checked.account.tag, limit, shared.clock.utc());
    }
    remark::limited(id, limit)
}

fn intent(
    checked: &Checked,
    considered: &Considered,
    seen: Seen,
    episode: i64,
) -> (Work, NewExecution) {
    let (rule, automation) = (&checked.rule, &checked.automation);
    let position = considered.row.as_ref().map(|row| &row.position);
    let subject = position.map_or(Subject::Market, Subject::Position);
    let network = &checked.account.network.network.name;
    let decision = Decision::of(rule, subject, seen).on(network);
    let new = NewExecution {
        id: ExecutionId(uuid::Uuid::now_v7()),
        automation: automation.id.clone(),
        account: automation.account_id.clone(),
        user: automation.user_id.clone(),
        position: considered.position,
        rule_version: automation.rule_version,
        episode,
        action: execution::planned(rule, false, position),
        decision: decision.clone(),
    };
    let work = Work::of_job(
        new.id,
        Arc::clone(&checked.account),
        automation.id.clone(),
        Arc::clone(rule),
        considered.position,
        decision,
        Danger::of(rule.kind(), position, seen.price),
    );
    (work, new)
}
