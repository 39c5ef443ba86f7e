//! `AuditLog`: the one writer of audit entries.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: the order of the entries (and later the head of their hash chain).
//! - In: `RecordDone` from executors, which wait for the answer. Out: nothing.
//! - Bound: one request for each running execution.
//! - Death: the executor asks the new one again; a second record of the same execution changes
//!   nothing.
//! - Stop: last, after the executors have ended.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::Value;

use super::shared::Shared;
use crate::domain::audit::Entry;
use crate::domain::ids::ExecutionId;
use crate::journal::JournalError;
use crate::supervision::failpoint;

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
}

impl AuditLog {
    /// An audit log on the journal.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Actor for AuditLog {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        failpoint::pass("audit_log.started", "");
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
