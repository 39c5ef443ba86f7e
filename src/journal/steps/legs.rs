//! Executions of more than one part, in the store or in the file of intents.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::intents::{Kept, Stepped, is_silence};
use super::super::{FallingBack, Journal, JournalError};
use super::leads;
use crate::domain::execution::{Action, State};
use crate::domain::ids::{ExecutionId, PositionId};

impl Journal {
    /// Writes down that the first leg was applied, with its outcome, and which second leg is to
    /// follow: planned from now on.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn next_leg(
        &self,
        id: ExecutionId,
        leg: Action,
        outcome: Value,
    ) -> Result<(), JournalError> {
        let change = |kept: &mut Kept| {
            kept.row.state = State::Planned;
            kept.row.action = leg;
            kept.row.outcome = Some(outcome.clone());
            kept.row.reason = None;
        };
        let given = outcome.clone();
        self.advance(
            id,
            async |journal| journal.stored_next_leg(id, leg, given).await,
            |kept, _| change(kept),
            |kept| {
                leads(kept, State::Planned)?;
                change(kept);
                Ok(Stepped::Changed(()))
            },
        )
        .await
    }

    /// Writes down that `successor`, a trade with the client id of `execution`, took the place of
    /// that execution's position, and lets it inherit. A repetition changes nothing. The answer is
    /// the position whose place it took; none where the execution reopens nothing, or is unknown.
    ///
    /// Where the store does not answer, it is written when the execution is done, see
    /// [`Journal::done`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn succeed(
        &self,
        execution: ExecutionId,
        successor: PositionId,
        now: DateTime<Utc>,
    ) -> Result<Option<PositionId>, JournalError> {
        let Some(intents) = self.minding(execution) else {
            let succeeded = self.stored_succeed(execution, successor, now).await;
            if let (Ok(Some(predecessor)), Some(intents)) = (&succeeded, &self.intents) {
                intents.succeeded(*predecessor, successor);
            }
            return succeeded;
        };
        if intents.asks_store(execution).await {
            let hurried = self.hurried(intents);
            match hurried.stored_succeed(execution, successor, now).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => {
                    if let Ok(Some(predecessor)) = answered {
                        intents.succeeded(predecessor, successor);
                    }
                    return answered;
                }
            }
        }
        let predecessor = intents.reopened_by(execution);
        if let Some(predecessor) = predecessor {
            intents.succeeded(predecessor, successor);
        }
        Ok(predecessor)
    }

    /// Writes down that an execution could not be carried out, and the execution that is carried
    /// out in its place: both or neither. The episode waits for that one from now on. A repetition
    /// answers the one that stands.
    ///
    /// # Errors
    /// As [`Journal::fail`].
    pub async fn fall_back(
        &self,
        id: ExecutionId,
        reason: &str,
        evidence: Value,
        instead: FallingBack,
        now: DateTime<Utc>,
    ) -> Result<ExecutionId, JournalError> {
        let stored = |journal: Self| {
            let (evidence, instead) = (evidence.clone(), instead.clone());
            async move {
                let fallen = journal.stored_fall_back(id, reason, evidence, instead, now);
                fallen.await
            }
        };
        let Some(intents) = self.minding(id) else {
            return stored(self.clone()).await;
        };
        if intents.asks_store(id).await {
            match stored(self.hurried(intents)).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => {
                    if let Ok(other) = answered {
                        intents.fell_back(id, other, &instead, now);
                    }
                    return answered;
                }
            }
        }
        intents.fall_back(id, reason, evidence, instead, now).await
    }
}
