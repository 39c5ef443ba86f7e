//! Where executions are written down: in the store, or while that does not answer in the file of
//! intents.

use serde::{Deserialize, Serialize};

use crate::actors::Shared;

/// The journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalReport {
    /// `stored`; `in_file` while the store does not answer: what protects goes on, all else waits;
    /// `stored_only` where there is no file of intents.
    pub state: String,
    /// What the store said, while it does not answer.
    pub cause: Option<String>,
    /// Milliseconds since then.
    pub degraded_ms: Option<u64>,
    /// Executions that the store is yet to take over.
    pub waiting: usize,
}

impl JournalReport {
    /// Looks at it.
    pub(in crate::admin) fn of(shared: &Shared) -> Self {
        let standing = shared.journal.standing();
        let outage = standing.as_ref().and_then(|told| told.outage.clone());
        let state = match (&standing, &outage) {
            (None, _) => "stored_only",
            (Some(_), None) => "stored",
            (Some(_), Some(_)) => "in_file",
        };
        let lasted = outage.as_ref().map(|(lasted, _)| lasted.as_millis() as u64);
        Self {
            state: state.to_owned(),
            degraded_ms: lasted,
            cause: outage.map(|(_, cause)| cause),
            waiting: standing.map_or(0, |standing| standing.waiting),
        }
    }
}
