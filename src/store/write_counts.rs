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
