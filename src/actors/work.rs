//! One execution on its way through intake and executors.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::automation::AutomationPlan;
use super::shared::Account;
use crate::domain::arming::Ended;
use crate::domain::execution::{Action, Before, Danger, Decision, Intent, Reopening};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::proof::Reading;
use crate::domain::rules::Rule;
use crate::exchange::Spend;
use crate::journal::{Execution, Journal, JournalError, Source};
use crate::meter::Histogram;

/// What is to be done next about an execution.
#[derive(Clone, Debug)]
pub enum Step {
    /// Look once more, and send.
    Send,
    /// Its state is not known here: look it up.
    LookUp,
    /// It may have been applied: ask the exchange.
    Prove {
        /// What was sent.
        action: Action,
        /// What was read before.
        before: Option<Before>,
        /// What was read of the margin since.
        readings: Vec<Reading>,
        /// When it was looked for and not found, in exchange time.
        absent: Vec<DateTime<Utc>>,
        /// Readings that found the trade nowhere.
        not_found: u32,
        /// What the exchange said against it, if it did.
        refusal: Option<String>,
    },
    /// The first of two legs was applied; the journal does not say so yet.
    FirstLegDone {
        /// What is to be opened again.
        then: Reopening,
        /// What the exchange answered.
        outcome: Value,
    },
    /// The second leg is written down: look once more, and send.
    Reopen(Reopening),
    /// It was applied; the journal does not say so yet.
    Record {
        /// What was applied.
        action: Action,
        /// What the exchange answered.
        outcome: Value,
    },
}

impl Step {
    /// A proof that begins.
    pub fn prove(action: Action, before: Option<Before>, refusal: Option<String>) -> Self {
        Self::Prove {
            action,
            before,
            readings: vec![],
            absent: vec![],
            not_found: 0,
            refusal,
        }
    }
}

/// An execution and what is needed to carry it out.
#[derive(Clone)]
pub struct Work {
    /// The execution.
    pub id: ExecutionId,
    /// Its account.
    pub account: Arc<Account>,
    /// Its automation.
    pub automation: AutomationId,
    /// What caused it.
    pub source: Source,
    /// Its rule; `None` where the automation is gone or its rule has changed.
    pub rule: Option<Arc<Rule>>,
    /// Its position.
    pub position: PositionId,
    /// What the automation saw.
    pub decision: Decision,
    /// How urgent it is.
    pub danger: Danger,
    /// When the tick that caused it was read from the socket.
    pub tick_at: Option<Duration>,
    /// When the last hop of its way to the exchange ended; `None` where none is measured.
    pub last_hop: Option<Duration>,
    /// What is next.
    pub step: Step,
    /// Attempts to send that are known not to have been applied.
    pub attempts: u32,
    /// Readings for a proof that failed in a row.
    pub unread: u32,
    /// A request of it may have been applied at some time without our knowing.
    pub doubted: bool,
    /// Whether somebody died who may or may not have sent its request: no attempt of anybody's.
    pub interrupted: bool,
    /// Executors that died over it.
    pub deaths: u32,
}

impl Work {
    /// A trigger that was just written down.
    pub fn fresh(
        id: ExecutionId,
        account: Arc<Account>,
        plan: &AutomationPlan,
        position: PositionId,
        decision: Decision,
        danger: Danger,
        tick_at: Option<Duration>,
    ) -> Self {
        Self {
            id,
            account,
            automation: plan.id.clone(),
            source: Source::Live,
            rule: Some(Arc::clone(&plan.rule)),
            position,
            decision,
            danger,
            tick_at,
            last_hop: None,
            step: Step::Send,
            attempts: 0,
            unread: 0,
            doubted: false,
            interrupted: false,
            deaths: 0,
        }
    }

    /// What a job asks for, just written down.
    pub fn of_job(
        id: ExecutionId,
        account: Arc<Account>,
        automation: AutomationId,
        rule: Arc<Rule>,
        position: PositionId,
        decision: Decision,
        danger: Danger,
    ) -> Self {
        Self {
            id,
            account,
            automation,
            source: Source::Job,
            rule: Some(rule),
            position,
            decision,
            danger,
            tick_at: None,
            last_hop: None,
            step: Step::Send,
            attempts: 0,
            unread: 0,
            doubted: false,
            interrupted: false,
            deaths: 0,
        }
    }

    /// One more hop has ended, now.
    pub fn hop(&mut self, to: &Histogram, now: Duration) {
        if let Some(last) = self.last_hop.replace(now) {
            to.observe(now.saturating_sub(last));
        } else {
            self.last_hop = None;
        }
    }

    /// Judges anew how urgent it is: the price has moved while it waited.
    pub fn reassess(&mut self, now: Duration) {
        let view = self.account.view.load();
        let seen = self.account.network.price.seen(now);
        if let (Some(row), Some(seen)) = (view.row(self.position), seen) {
            self.danger = Danger::of(self.decision.rule, Some(&row.position), seen.price);
        }
    }

    /// Whether a request of it may be on its way, as far as is known here: of what must be looked up
    /// first, nothing is known.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.step, Step::Prove { .. } | Step::LookUp)
    }

    /// Whether it has to wait because its position is in doubt: more margin would hide whether the
    /// margin in doubt arrived. A position may be closed or reduced all the same, and looking up
    /// sends nothing.
    pub fn must_not_disturb(&self, in_doubt: &HashSet<PositionId>) -> bool {
        let fallback = self.decision.fallback;
        let adds = self
            .rule
            .as_deref()
            .is_some_and(|rule| matches!(Intent::of(rule, fallback), Intent::AddMargin(_)));
        matches!(self.step, Step::Send) && adds && in_doubt.contains(&self.position)
    }

    /// What its requests are, beside others of the same key.
    pub fn spend(&self) -> Spend {
        self.decision.rule.into()
    }

    /// Attempts to send that it may take here: a job's attempts are its producer's to choose, and a
    /// death of ours is none of them.
    pub fn most_attempts(&self, live: u32) -> u32 {
        match self.source {
            Source::Live => live,
            Source::Job => 1 + u32::from(self.interrupted),
        }
    }

    /// The execution that takes this one's place.
    #[must_use]
    pub fn instead(self, id: ExecutionId, decision: Decision) -> Self {
        Self {
            id,
            decision,
            last_hop: None,
            step: Step::Send,
            attempts: 0,
            unread: 0,
            doubted: false,
            interrupted: false,
            deaths: 0,
            ..self
        }
    }

    /// An execution found unfinished in the journal.
    pub fn recovered(row: Execution, account: Arc<Account>, rule: Option<Arc<Rule>>) -> Self {
        Self {
            id: row.id,
            account,
            automation: row.automation,
            source: row.source,
            rule,
            position: row.position,
            danger: Danger::unknown(row.decision.rule),
            decision: row.decision,
            tick_at: None,
            last_hop: None,
            step: Step::LookUp,
            attempts: 0,
            unread: 0,
            doubted: false,
            interrupted: false,
            deaths: 0,
        }
    }
}

/// How an execution ended, if it has.
///
/// # Errors
/// As every reading of the store.
pub async fn ended(journal: &Journal, id: ExecutionId) -> Result<Option<Ended>, JournalError> {
    Ok(ended_row(&journal.execution(id).await?))
}

/// How an execution ended, if it has, by its row.
pub fn ended_row(row: &Execution) -> Option<Ended> {
    let at = row.finished_at.filter(|_| row.state.is_final())?;
    Some(Ended {
        execution: row.id,
        state: row.state,
        skipped: row.skipped(),
        at,
    })
}
