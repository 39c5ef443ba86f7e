//! Ending an execution: with an audit entry in the same transaction if it was done, with a reason
//! and the evidence otherwise.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor};
use serde_json::Value;

use super::aftermath::{Aftermath, Paused};
use super::audit::{self, Pen, Written};
use super::sending::{found, refused};
use super::{Journal, JournalError, succession};
use crate::domain::audit::Entry;
use crate::domain::execution::{SkipReason, State};
use crate::domain::ids::ExecutionId;
use crate::store::entity::execution::{Column, Entity};
use crate::store::{Kind, Turn};

/// What writing down a success came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It stands, with its audit entry.
    Recorded,
    /// It stood already, with its audit entry; nothing was written.
    AlreadyDone,
}

/// How a person settles what is uncertain.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// It was applied: this is its audit entry.
    Done(Box<Entry>),
    /// It was not applied.
    Failed,
}

impl Journal {
    /// Writes down that the exchange applied it, with the audit entry, both or neither.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending or done, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_done(
        &self,
        id: ExecutionId,
        outcome: Value,
        entry: Entry,
        now: DateTime<Utc>,
    ) -> Result<Done, JournalError> {
        let recording = Arc::new(Recording {
            update: self
                .step(id, State::Done)
                .value(Column::Outcome, outcome.clone())
                .value(Column::Reason, None::<String>)
                .value(Column::FinishedAt, now)
                .returning(Query::returning().column(Column::AccountId))
                .to_owned(),
            id,
            outcome,
            entry,
            pen: self.pen()?,
            aftermath: self.aftermath(),
            now,
        });
        let (done, written) = self
            .store
            .write_again(Turn::Other, Kind::Several, move |db| {
                let recording = Arc::clone(&recording);
                Box::pin(async move { recording.write(db).await })
            })
            .await?;
        if let Some(written) = written {
            self.witness.note(written);
        }
        Ok(done)
    }

    /// Writes down that it was refused, or is known not to have been applied. Where that is one
    /// failure in a row too many, the account is paused, and the answer says so.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is planned or sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_fail(
        &self,
        id: ExecutionId,
        reason: &str,
        evidence: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let update = self
            .step(id, State::Failed)
            .value(Column::Reason, reason)
            .value(Column::Evidence, evidence)
            .value(Column::FinishedAt, now)
            .to_owned();
        self.take_last_step(id, State::Failed, update, now).await
    }

    /// Writes down that nobody can tell whether it was applied. It is never sent again; only
    /// [`Journal::resolve`] settles it. It counts as a failure in a row, as in [`Journal::fail`].
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_uncertain(
        &self,
        id: ExecutionId,
        evidence: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let update = self
            .step(id, State::Uncertain)
            .value(Column::Reason, None::<String>)
            .value(Column::Evidence, evidence)
            .value(Column::FinishedAt, now)
            .to_owned();
        self.take_last_step(id, State::Uncertain, update, now).await
    }

    async fn take_last_step(
        &self,
        id: ExecutionId,
        to: State,
        update: UpdateStatement,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let aftermath = self.aftermath();
        self.store
            .write(Kind::Several, move |db| {
                Box::pin(async move {
                    match db.execute(&update).await?.rows_affected() {
                        0 => Err(refused(db, id, to).await),
                        _ => aftermath.of(db, id, now).await,
                    }
                })
            })
            .await
    }

    /// Writes down that it is not sent, and why.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is planned, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_skip(
        &self,
        id: ExecutionId,
        reason: SkipReason,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let update = self
            .step(id, State::Skipped)
            .value(Column::Reason, reason.as_str())
            .value(Column::FinishedAt, now)
            .to_owned();
        self.take_step(id, State::Skipped, update).await
    }

    /// Settles an uncertain execution as a person says, with their note and, if it was applied, the
    /// audit entry in the same transaction. Its evidence stays.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is uncertain,
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn resolve(
        &self,
        id: ExecutionId,
        settled: Settled,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let (to, entry) = match settled {
            Settled::Done(entry) => (State::Done, Some(*entry)),
            Settled::Failed => (State::Failed, None),
        };
        let update = Query::update()
            .table(Entity)
            .value(Column::State, to.as_str())
            .value(Column::Reason, format!("resolved by hand: {note}"))
            .value(Column::FinishedAt, now)
            .and_where(Expr::col(Column::Id).eq(id.to_string()))
            .and_where(Expr::col(Column::State).eq(State::Uncertain.as_str()))
            .returning(Query::returning().column(Column::AccountId))
            .to_owned();
        let aftermath = self.aftermath();
        let entry = match entry {
            Some(entry) => Some((entry, self.pen()?)),
            None => None,
        };
        let written = self
            .store
            .write(Kind::Several, move |db| {
                Box::pin(async move {
                    let rows = db.query_all(&update).await?;
                    let Some(row) = rows.first() else {
                        let (_, found) = found(db, id).await?;
                        return Err(JournalError::WrongState {
                            execution: id,
                            found,
                            wanted: to,
                        });
                    };
                    let mut written = None;
                    if let Some((entry, pen)) = entry {
                        let account = row.try_get("", "account_id")?;
                        written = Some(pen.write(db, id, account, &entry).await?);
                    }
                    aftermath.told_of(db, id, now).await?;
                    Ok::<_, JournalError>(written)
                })
            })
            .await?;
        if let Some(written) = written {
            self.witness.note(written);
        }
        Ok(())
    }
}

/// The writing down of a success.
struct Recording {
    update: UpdateStatement,
    id: ExecutionId,
    outcome: Value,
    entry: Entry,
    pen: Pen,
    aftermath: Aftermath,
    now: DateTime<Utc>,
}

impl Recording {
    async fn write(
        &self,
        db: &DatabaseExecutor<'_>,
    ) -> Result<(Done, Option<Written>), JournalError> {
        let (id, now) = (self.id, self.now);
        let rows = db.query_all(&self.update).await?;
        let Some(row) = rows.first() else {
            return match refused(db, id, State::Done).await {
                JournalError::WrongState {
                    found: State::Done, ..
                } => Ok((Done::AlreadyDone, audit::standing(db, id).await?)),
                error => Err(error),
            };
        };
        let account: String = row.try_get("", "account_id")?;
        succession::of_outcome(db, id, &self.outcome, now).await?;
        let written = self.pen.write(db, id, account.clone(), &self.entry).await?;
        self.aftermath.of_done(db, id, &account, now).await?;
        Ok((Done::Recorded, Some(written)))
    }
}
