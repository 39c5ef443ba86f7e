//! Taking up what stands unfinished in the journal: after a start, after the death of an intake, when
//! an account comes to be served, and when somebody waits for an execution the intake does not know.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::shared::{Account, Shared};
use super::super::work::Work;
use super::{Intake, STORE_RETRY};
use crate::domain::execution::State;
use crate::domain::ids::{AccountId, ExecutionId};
use crate::domain::rules::Rule;
use crate::journal::{Execution, JournalError};
use crate::store::StoreError;

/// How long an account may take to be served before it is told that its executions wait for it.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// This account is served from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Served(pub AccountId);

/// Somebody waits for this execution, which has not ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TakeUp(pub ExecutionId);

/// Where recovering stands.
#[derive(Default)]
pub(super) struct Recovery {
    reading: bool,
    /// It was asked for while it was under way.
    again: bool,
    /// Accounts with unfinished executions that are not served.
    unserved: HashSet<AccountId>,
}

/// An unfinished execution and its rule, if that still is what it was.
type Unfinished = (Execution, Option<Arc<Rule>>);

impl Intake {
    /// Reads all that is unfinished. What an executor of an earlier intake has in hand is met
    /// again by its mark, and waits.
    pub(super) fn recover(&mut self, context: &mut Context<Self>) {
        if self.recovery.reading {
            self.recovery.again = true;
            return;
        }
        self.recovery.reading = true;
        let (shared, known) = (Arc::clone(&self.shared), self.known.clone());
        let reading = async move { unfinished(&shared, &known).await };
        let read = |found: Result<Vec<Unfinished>, JournalError>,
                    intake: &mut Self,
                    context: &mut Context<Self>| {
            intake.recovery.reading = false;
            let again = std::mem::take(&mut intake.recovery.again);
            match found {
                Ok(found) => {
                    intake.take_up(found, context);
                    if again {
                        intake.recover(context);
                    }
                }
                Err(error) => {
                    intake.shared.store_failed("unfinished executions", &error);
                    context.run_later(STORE_RETRY, Self::recover);
                }
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(reading).map(read));
    }

    /// Whether an account is served is looked up only here, where `Served` is heard too: no
    /// execution falls between the two.
    fn take_up(&mut self, found: Vec<Unfinished>, context: &mut Context<Self>) {
        let accounts = self.shared.accounts.load_full();
        let before = self.known.len();
        for (row, rule) in found {
            // What has begun on another network cannot be proven on this one.
            let is_there = |account: &&Arc<Account>| {
                !row.has_begun() || !row.decision.is_elsewhere(&account.network.network.name)
            };
            if let Some(account) = accounts.get(&row.account).filter(is_there) {
                self.submit(Work::recovered(row, Arc::clone(account), rule));
            } else if self.recovery.unserved.insert(row.account.clone()) {
                context.run_later(SERVED_WITHIN, move |intake, _| intake.tell_left(&row));
            }
        }
        let count = self.known.len() - before;
        if count > 0 {
            tracing::warn!(event = "executions.recovered", count);
        }
        self.dispatch(context);
    }

    fn tell_left(&self, row: &Execution) {
        if self.recovery.unserved.contains(&row.account) {
            tracing::error!(
                event = "execution.left", execution = %row.id, account_id = %row.account,
                network = row.decision.network.as_deref(),
                "its account is not served, or not on this network: enable it, or settle it with \
                 vigia execution resolve"
            );
        }
    }
}

async fn unfinished(
    shared: &Shared,
    known: &HashSet<ExecutionId>,
) -> Result<Vec<Unfinished>, JournalError> {
    let mut listed = shared.journal.unfinished().await?;
    listed.rows.retain(|row| !known.contains(&row.id));
    // What may have been sent is proven before more is sent.
    listed.rows.sort_by_key(|row| row.state != State::Sending);
    for unreadable in listed.unreadable {
        tracing::error!(event = "execution.unreadable", error = %unreadable);
    }
    let mut found = vec![];
    for row in listed.rows {
        let rule = match shared.store.automation(&row.automation).await {
            Ok(stored) if stored.is_active && stored.rule_version == row.rule_version => {
                stored.rule().ok().map(Arc::new)
            }
            Ok(_) | Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        found.push((row, rule));
    }
    Ok(found)
}

impl Handler<Served> for Intake {
    type Result = ();

    fn handle(&mut self, Served(account): Served, context: &mut Context<Self>) {
        self.recovery.unserved.remove(&account);
        // Also where nothing was seen of it: a row may have been written since the last reading.
        self.recover(context);
    }
}

impl Handler<TakeUp> for Intake {
    type Result = ();

    fn handle(&mut self, TakeUp(execution): TakeUp, context: &mut Context<Self>) {
        if !self.known.contains(&execution) {
            self.recover(context);
        }
    }
}
