//! The steps of executions and of arming, as everybody takes them: in the store, and where that does
//! not answer and the execution protects a position, in the file of intents.

mod ends;
mod firing;
mod legs;

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::intents::{IntentTerms, Intents, Kept, Standing, Stepped, is_silence};
use super::{Began, Journal, JournalError, Paused, Refusal};
use crate::clock::Clock;
use crate::domain::execution::{Action, Before, State};
use crate::domain::ids::ExecutionId;

impl Journal {
    /// This journal with a file of intents in a data folder; takes over what waits in it.
    ///
    /// # Errors
    /// Where the file cannot be read, or the store does not take what stands in it.
    pub async fn with_intents(
        self,
        folder: &Path,
        terms: IntentTerms,
        clock: Clock,
    ) -> Result<Self, JournalError> {
        let (intents, left) = Intents::open(folder, terms, clock)?;
        self.take_over_all(&intents, left).await?;
        Ok(Self {
            intents: Some(intents),
            has_intents: true,
            ..self
        })
    }

    /// How the journal does without its store; `None` where it has no file of intents.
    pub fn standing(&self) -> Option<Standing> {
        self.intents.as_ref().map(Intents::standing)
    }

    /// The intents, where they know of an execution.
    fn minding(&self, id: ExecutionId) -> Option<&Intents> {
        self.intents.as_ref().filter(|intents| intents.knows(id))
    }

    /// The same journal for what must not wait for its store.
    pub(super) fn hurried(&self, intents: &Intents) -> Self {
        Self {
            store: self.store.with_patience(intents.terms().after),
            ..self.clone()
        }
    }

    /// Takes a step in the store, or where that is silent in the file.
    async fn advance<T>(
        &self,
        id: ExecutionId,
        stored: impl AsyncFnOnce(&Self) -> Result<T, JournalError>,
        noted: impl Fn(&mut Kept, &T),
        step: impl FnOnce(&mut Kept) -> Result<Stepped<T>, JournalError>,
    ) -> Result<T, JournalError> {
        let Some(intents) = self.minding(id) else {
            return stored(self).await;
        };
        if intents.asks_store(id).await {
            match stored(&self.hurried(intents)).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => {
                    if let Ok(found) = &answered {
                        intents.stored(id, |kept| noted(kept, found));
                    }
                    return answered;
                }
            }
        }
        intents.step(id, false, step).await
    }

    /// Takes an execution to an end that has no more to it than a reason.
    async fn end(
        &self,
        id: ExecutionId,
        to: State,
        stored: impl AsyncFnOnce(&Self) -> Result<Option<Paused>, JournalError>,
        reason: Option<String>,
        evidence: Option<Value>,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let change = |kept: &mut Kept| {
            kept.row.state = to;
            kept.row.reason.clone_from(&reason);
            if evidence.is_some() {
                kept.row.evidence.clone_from(&evidence);
            }
            kept.row.finished_at = Some(now);
        };
        self.advance(
            id,
            stored,
            |kept, _| change(kept),
            |kept| {
                leads(kept, to)?;
                change(kept);
                // Failures in a row are counted when the store takes it over.
                Ok(Stepped::Changed(None))
            },
        )
        .await
    }

    /// Lets an execution out to be sent as `action`, if it is planned, this process is the owner,
    /// its automation, the version of the rule and its account are those that may act, its account is
    /// not paused, and no kill switch is on for it. `before` is what a later proof will be held
    /// against.
    ///
    /// Where the store does not answer, that is judged by what is known; a close that can be written
    /// down nowhere is let out all the same.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn begin_sending(
        &self,
        id: ExecutionId,
        action: Action,
        before: Option<Before>,
        now: DateTime<Utc>,
    ) -> Result<Began, JournalError> {
        let Some(intents) = self.minding(id) else {
            return self.stored_begin_sending(id, action, before, now).await;
        };
        let epoch = self.epoch;
        let let_out = |kept: &mut Kept, attempt| {
            kept.row.state = State::Sending;
            kept.row.action = action;
            kept.row.before = before;
            kept.row.attempts = attempt;
            kept.row.epoch = Some(epoch);
            kept.row.sending_at = Some(now);
        };
        if intents.asks_store(id).await {
            let hurried = self.hurried(intents);
            match hurried.stored_begin_sending(id, action, before, now).await {
                Err(error) if is_silence(&error) => {
                    // In doubt is not silent: the file does not settle who may trade.
                    self.may_send(action)?;
                    intents.begin_outage(&error);
                }
                answered => {
                    if let Ok(Began::Sending { attempt }) = answered {
                        intents.stored(id, |kept| let_out(kept, attempt));
                    }
                    return answered;
                }
            }
        }
        self.may_send(action)?;
        let held_back = intents.held_back(id, action, now);
        intents
            .step(id, action.closes(), |kept| {
                Ok(match kept.row.state {
                    State::Planned if let Some(why) = held_back => {
                        Stepped::Same(Began::Refused(Refusal::Skip(why)))
                    }
                    State::Planned => {
                        let attempt = kept.row.attempts + 1;
                        let_out(kept, attempt);
                        Stepped::Changed(Began::Sending { attempt })
                    }
                    State::Sending => Stepped::Same(Began::Refused(Refusal::AlreadySending)),
                    ended => Stepped::Same(Began::Refused(Refusal::Ended(ended))),
                })
            })
            .await
    }

    /// Whether an action may be sent without the store's word: as long as nobody else can trade, and
    /// what closes a trade also beyond, since two who send it close it once.
    fn may_send(&self, action: Action) -> Result<(), JournalError> {
        if self.goes_in_doubt(action) {
            return Ok(());
        }
        self.check_lease()
    }

    /// Takes back an execution that is known not to have been applied, to be sent again.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound),
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy).
    pub async fn back_to_planned(
        &self,
        id: ExecutionId,
        why: &str,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let change = |kept: &mut Kept| {
            kept.row.state = State::Planned;
            kept.row.reason = Some(why.to_owned());
        };
        self.advance(
            id,
            async |journal| journal.stored_back_to_planned(id, why, now).await,
            |kept, _| change(kept),
            |kept| {
                leads(kept, State::Planned)?;
                change(kept);
                Ok(Stepped::Changed(()))
            },
        )
        .await
    }
}

/// Whether an execution may be taken to a state from where it stands.
fn leads(kept: &Kept, to: State) -> Result<(), JournalError> {
    let found = kept.row.state;
    if super::sending::leads(found, to) {
        return Ok(());
    }
    Err(JournalError::WrongState {
        execution: kept.row.id,
        found,
        wanted: to,
    })
}
