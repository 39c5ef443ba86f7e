//! How executions end, in the store or in the file of intents.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::intents::Stepped;
use super::super::{Done, Journal, JournalError, Paused};
use super::leads;
use crate::domain::audit::Entry;
use crate::domain::execution::{SkipReason, State};
use crate::domain::ids::ExecutionId;

impl Journal {
    /// Writes down that the exchange applied it, with the audit entry, both or neither; and where its
    /// outcome names a trade that took its position's place, also that.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending or done, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn done(
        &self,
        id: ExecutionId,
        outcome: Value,
        entry: Entry,
        now: DateTime<Utc>,
    ) -> Result<Done, JournalError> {
        let (result, record) = (outcome.clone(), entry.clone());
        self.advance(
            id,
            async |journal| journal.stored_done(id, result, record, now).await,
            |kept, _| kept.row.state = State::Done,
            |kept| {
                if kept.row.state == State::Done {
                    return Ok(Stepped::Same(Done::AlreadyDone));
                }
                leads(kept, State::Done)?;
                kept.row.state = State::Done;
                kept.row.outcome = Some(outcome);
                kept.row.reason = None;
                kept.row.finished_at = Some(now);
                kept.entry = Some(entry);
                Ok(Stepped::Changed(Done::Recorded))
            },
        )
        .await
    }

    /// Writes down that it was refused, or is known not to have been applied. Where that is one
    /// failure in a row too many, the account is paused, and the answer says so.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is planned or sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn fail(
        &self,
        id: ExecutionId,
        reason: &str,
        evidence: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let given = evidence.clone();
        let stored = async |journal: &Self| journal.stored_fail(id, reason, given, now).await;
        let reason = Some(reason.to_owned());
        self.end(id, State::Failed, stored, reason, Some(evidence), now)
            .await
    }

    /// Writes down that nobody can tell whether it was applied. It is never sent again; only
    /// [`Journal::resolve`] settles it. It counts as a failure in a row, as in [`Journal::fail`].
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn uncertain(
        &self,
        id: ExecutionId,
        evidence: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let given = evidence.clone();
        let stored = async |journal: &Self| journal.stored_uncertain(id, given, now).await;
        self.end(id, State::Uncertain, stored, None, Some(evidence), now)
            .await
    }

    /// Writes down that it is not sent, and why.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is planned, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn skip(
        &self,
        id: ExecutionId,
        why: SkipReason,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let stored = async |journal: &Self| {
            let skipped = journal.stored_skip(id, why, now).await;
            skipped.map(|()| None)
        };
        let reason = Some(why.as_str().to_owned());
        self.end(id, State::Skipped, stored, reason, None, now)
            .await
            .map(drop)
    }
}
