//! The journal: executions from intent to outcome. Nothing is sent before it stands here, and what
//! stands here is carried out or reported as failed, whatever dies meanwhile.
//!
//! ```text
//! planned → sending → done | failed | uncertain        planned → skipped
//! ```
//!
//! Reading order: [`Execution`]; `steps` are what everybody takes. In the store, `fire` writes an
//! execution down with the arming; `sending` lets it out once; `ending` closes it; `legs` and
//! `succession` tell of those of more than one part; `queries` finds it again; `audit` is the record of
//! what was done. Every write is one
//! conditional statement, or one transaction, and may be repeated after an error: a repetition finds
//! what stands. Where the store does not answer, `intents` keeps what protects.

mod aftermath;
mod arming;
mod audit;
mod ending;
mod error;
mod execution;
mod fire;
mod intents;
mod jobs;
mod legs;
mod letting_out;
mod limits;
mod protections;
mod queries;
mod sending;
mod steps;
mod succession;
#[cfg(test)]
mod tests;
mod usage;

pub use aftermath::Paused;
pub use arming::{ArmedState, OpenedEpisode, StoredArming};
pub use audit::{AuditFilter, AuditRow, Exported, Flaw, HeadTrouble, Link, Verified};
pub use ending::{Done, Settled};
pub use error::JournalError;
pub use execution::{Execution, Source};
pub use fire::{FireResult, NewExecution};
pub use intents::{IntentTerms, Standing, left_in};
pub use legs::FallingBack;
pub use queries::{Counts, Filter, LIST_LIMIT};
pub use sending::{Began, Refusal};
pub use usage::Usage;

use crate::domain::protection::Protections;
use crate::store::{Epoch, Lease, Store};

/// A handle of the journal under one claim of ownership; clones share it.
///
/// A process whose claim was taken over is refused to send, and cannot change an execution that a
/// later owner has sent.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Store,
    epoch: Epoch,
    lease: Option<Lease>,
    intents: Option<intents::Intents>,
    /// Whether steps may be taken without the store; also of a handle that takes one in the store.
    has_intents: bool,
    /// What holds for accounts that have no limits of their own.
    protections: Protections,
    /// Where the head of the audit log is noted.
    witness: audit::Witness,
}

impl Journal {
    /// The journal of `store`, for the process that claimed `epoch`. With [`Epoch::NONE`] nothing
    /// can be sent; reading and resolving can be done.
    pub fn new(store: Store, epoch: Epoch) -> Self {
        Self {
            store,
            epoch,
            lease: None,
            intents: None,
            has_intents: false,
            protections: Protections::default(),
            witness: audit::Witness::default(),
        }
    }

    /// The journal of a shared store, for the process that holds `lease`. Nothing is let out while
    /// the lease is in doubt.
    pub fn leased(store: Store, lease: Lease) -> Self {
        Self {
            store,
            epoch: lease.epoch(),
            lease: Some(lease),
            intents: None,
            has_intents: false,
            protections: Protections::default(),
            witness: audit::Witness::default(),
        }
    }

    /// The store that it is kept in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether this process has the right to trade, as far as it can know without asking.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable) while its lease is in
    /// doubt.
    pub fn check_right(&self) -> Result<(), crate::store::StoreError> {
        self.lease.as_ref().map_or(Ok(()), Lease::check)
    }

    /// The claim that it writes under.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}
