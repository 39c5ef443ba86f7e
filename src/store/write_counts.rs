//! How writes went, as their callers felt it.

use super::error::StoreError;
use crate::meter::{Counter, Histogram};

/// How writes went.
#[derive(Debug, Default)]
pub struct WriteCounts {
    /// From the wish to the answer, whatever it was.
    pub took: Histogram,
    /// Writes that the store did not make, or did not say whether it did.
    pub failed: Counter,
    /// Transactions that were begun, and statements that are one by themselves. Many writes share one.
    pub commits: Counter,
    /// Statements within them, without those that begin and end them; what is sent at once is one.
    pub statements: Counter,
    /// Writes that shared a transaction and needed a savepoint of their own.
    pub savepoints: Counter,
    #[cfg(test)]
    seen: std::sync::Mutex<Vec<sea_orm::Statement>>,
}

impl WriteCounts {
    /// One more statement.
    pub(super) fn one(&self, _statement: &sea_orm::Statement) {
        self.statements.one();
        #[cfg(test)]
        self.seen.lock().unwrap().push(_statement.clone());
    }

    /// All statements so far.
    #[cfg(test)]
    pub(crate) fn seen(&self) -> Vec<sea_orm::Statement> {
        self.seen.lock().unwrap().clone()
    }
}

/// An error of a write that may be the store's own.
pub(crate) trait Fault {
    /// Whether the store is to blame: it did not answer, or is too busy.
    fn is_outage(&self) -> bool;
}

impl Fault for StoreError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }
}
