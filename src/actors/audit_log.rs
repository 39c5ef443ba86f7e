//! `AuditLog`: the one writer of audit entries.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: the order of the entries, and the telling of the chain's head.
//! - In: `RecordDone` from executors, which wait for the answer. Out: nothing.
//! - Bound: one request for each running execution.
//! - Timers: every minute it tells the head, where there is a new one.
//! - Death: the executor asks the new one again; a second record of the same execution changes
//!   nothing.
//! - Stop: last, after the executors have ended.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;

use super::shared::Shared;
use crate::domain::audit::Entry;
use crate::domain::ids::ExecutionId;
use crate::journal::{JournalError, Link};
use crate::supervision::failpoint;

/// How often a new head is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Sets an execution `done` and writes its audit entry, in one transaction.
#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct RecordDone {
    /// The execution.
    pub execution: ExecutionId,
    /// What the exchange answered, or how it was proven.
    pub outcome: Value,
    /// The entry.
    pub entry: Entry,
}

/// See the module's documentation.
pub struct AuditLog {
    shared: Arc<Shared>,
    told: Option<Link>,
}

impl AuditLog {
    /// An audit log on the journal.
    pub fn new(shared: Arc<Shared>) -> Self {
        let told = shared.journal.audit_head();
        Self { shared, told }
    }

    fn tell_later(context: &mut Context<Self>) {
        context.run_later(TOLD_EVERY, |log, context| {
            log.tell();
            Self::tell_later(context);
        });
    }

    /// Logs are kept elsewhere than the data folder: there, too, heads say whether entries were cut off.
    fn tell(&mut self) {
        let head = self.shared.journal.audit_head();
        if let Some(head) = head.as_ref().filter(|_| head != self.told) {
            tracing::info!(event = "audit.head", %head);
        }
        self.told = head;
    }
}

impl Actor for AuditLog {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("audit_log.started", "");
        Self::tell_later(context);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.tell();
    }
}

impl Handler<RecordDone> for AuditLog {
    type Result = ResponseFuture<Result<(), JournalError>>;

    fn handle(&mut self, record: RecordDone, _: &mut Context<Self>) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let now = shared.clock.utc();
            let RecordDone {
                execution,
                outcome,
                entry,
            } = record;
            shared
                .journal
                .done(execution, outcome, entry, now)
                .await
                .map(drop)
        })
    }
}

crate::crashable!(AuditLog);
