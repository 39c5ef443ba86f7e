//! The steps of executions and of arming, as everybody takes them: in the store, and where that does
//! not answer and the execution protects a position, in the file of intents.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::intents::{IntentTerms, Intents, Kept, Standing, Stepped, is_silence};
use super::{
    Began, Done, FallingBack, FireResult, Journal, JournalError, NewExecution, OpenedEpisode,
    Refusal,
};
use crate::clock::Clock;
use crate::domain::audit::Entry;
use crate::domain::execution::{Action, Before, SkipReason, State};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::rules::Limits;

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
        let (intents, waiting) = Intents::open(folder, terms, clock)?;
        self.take_over_all(&intents, waiting).await?;
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
        stored: impl AsyncFnOnce(&Self) -> Result<(), JournalError>,
        reason: Option<String>,
        evidence: Option<Value>,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
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
                Ok(Stepped::Changed(()))
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
        let held_back = intents.held_back(id);
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

    /// Writes down that it was refused, or is known not to have been applied.
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
    ) -> Result<(), JournalError> {
        let given = evidence.clone();
        let stored = async |journal: &Self| journal.stored_fail(id, reason, given, now).await;
        let reason = Some(reason.to_owned());
        self.end(id, State::Failed, stored, reason, Some(evidence), now)
            .await
    }

    /// Writes down that nobody can tell whether it was applied. It is never sent again; only
    /// [`Journal::resolve`] settles it.
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
    ) -> Result<(), JournalError> {
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
        let stored = async |journal: &Self| journal.stored_skip(id, why, now).await;
        let reason = Some(why.as_str().to_owned());
        self.end(id, State::Skipped, stored, reason, None, now)
            .await
    }

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
            return self.stored_succeed(execution, successor, now).await;
        };
        if intents.asks_store(execution).await {
            let hurried = self.hurried(intents);
            match hurried.stored_succeed(execution, successor, now).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => return answered,
            }
        }
        Ok(intents.reopened_by(execution))
    }

    /// Writes an execution down and its episode as fired, if the automation's limits let it act.
    ///
    /// # Errors
    /// [`JournalError::NotArmed`] for an episode that is not armed, [`JournalError::NotOwner`] for a
    /// process whose claim was taken over, [`JournalError::Stopped`] while a kill switch is on,
    /// [`JournalError::Paused`] while the account is,
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable) and
    /// [`StoreError::Busy`](crate::store::StoreError::Busy), after which it may be repeated.
    pub async fn fire(
        &self,
        new: NewExecution,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<FireResult, JournalError> {
        let protects = new.decision.is_protective();
        let Some(intents) = self.intents.as_ref().filter(|_| protects) else {
            return self.stored_fire(new, limits, now).await;
        };
        if !intents.is_outage() {
            let hurried = self.hurried(intents);
            match hurried.stored_fire(new.clone(), limits, now).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => {
                    if let Ok(fired) = &answered {
                        intents.fired(&new, *fired, now);
                    }
                    return answered;
                }
            }
        }
        self.may_send(new.action)?;
        intents.fire(new, limits, now).await
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

    /// Writes an episode down as armed from a time on, if nothing was armed before, or the episode
    /// before it has fired and its execution has ended. Otherwise nothing is written; either way the
    /// answer is what stands now.
    ///
    /// Where the store does not answer, what is armed already, and the next episode of what has fired
    /// and protects, is armed in memory alone: should the process end, the next one arms it anew.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::store::StoreError::NotFound) for an automation that was removed,
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable),
    /// [`StoreError::Busy`](crate::store::StoreError::Busy),
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt).
    pub async fn open_episode(
        &self,
        automation: &AutomationId,
        position: PositionId,
        rule_version: i64,
        episode: i64,
        from: DateTime<Utc>,
    ) -> Result<OpenedEpisode, JournalError> {
        let stored = async |journal: &Self| {
            let opening =
                journal.stored_open_episode(automation, position, rule_version, episode, from);
            opening.await
        };
        let Some(intents) = &self.intents else {
            return stored(self).await;
        };
        let key = (automation.clone(), position, rule_version);
        let protects = intents.protects(&key);
        if !(protects && intents.is_outage()) {
            let opened = match protects {
                true => stored(&self.hurried(intents)).await,
                false => stored(self).await,
            };
            match opened {
                Err(error) if protects && is_silence(&error) => intents.begin_outage(&error),
                answered => {
                    if let Ok(opened) = answered {
                        intents.armed(key, opened, None);
                    }
                    return answered;
                }
            }
        }
        intents.arm_here(key, episode, from)
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
