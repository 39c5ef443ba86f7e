//! Firing without the store: what is armed, what may act, and the new executions.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::execution::{Execution, Source};
use super::super::{FallingBack, FireResult, JournalError, NewExecution, OpenedEpisode};
use super::Intents;
use super::book::{Armed, ArmingKey, Kept, Place};
use crate::domain::execution::{Action, SkipReason, State, fallback_key, live_trigger_key};
use crate::domain::ids::{ExecutionId, PositionId};
use crate::domain::protection::day_ends;
use crate::domain::rules::Limits;
use crate::store::StoreError;

impl Intents {
    /// Notes what the store has made of a firing.
    pub(in crate::journal) fn fired(
        &self,
        new: &NewExecution,
        fired: FireResult,
        now: DateTime<Utc>,
    ) {
        let execution = match fired {
            FireResult::Fired => new.id,
            FireResult::FiredBefore(other) => other,
            _ => return,
        };
        let opened = OpenedEpisode::Fired {
            episode: new.episode,
            execution,
        };
        self.armed(key(new), opened, Some(true));
        if fired == FireResult::Fired {
            self.note(planned(new, now));
        }
    }

    /// Fires by what is known: both its episode and its execution stand in the file.
    pub(in crate::journal) async fn fire(
        &self,
        new: NewExecution,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<FireResult, JournalError> {
        let (id, closes, key) = (new.id, new.action.closes(), key(&new));
        let armed_before = self.book().armed(&key);
        let undone = key.clone();
        self.add(
            closes,
            |book| {
                match book.armed(&key).map(|armed| armed.opened) {
                    Some(OpenedEpisode::Armed { episode, .. }) if episode == new.episode => {}
                    Some(OpenedEpisode::Fired { episode, execution }) if episode >= new.episode => {
                        return Ok((FireResult::FiredBefore(execution), vec![]));
                    }
                    Some(stands) => {
                        return Err(JournalError::NotArmed {
                            episode: new.episode,
                            stands: Some(stands),
                        });
                    }
                    None => return Err(unknown()),
                }
                match book.held_back(&new.account, &new.automation) {
                    Some(SkipReason::AccountPaused) => return Err(JournalError::Paused),
                    Some(_) => return Err(JournalError::Stopped),
                    None => {}
                }
                if let Some(until) = book.limited_until(&new.automation, limits, now) {
                    return Ok((FireResult::LimitReached { until }, vec![]));
                }
                if let Some(limit) = book.forbidden(&new, limits, now) {
                    let until = day_ends(now);
                    return Ok((FireResult::ProtectionReached { limit, until }, vec![]));
                }
                let opened = OpenedEpisode::Fired {
                    episode: new.episode,
                    execution: id,
                };
                let fired = Armed {
                    opened,
                    protects: true,
                    only_here: false,
                };
                book.arm(key.clone(), fired);
                let mut kept = Kept::of_row(planned(&new, now));
                kept.born_here = true;
                book.kept.insert(id, kept);
                Ok((FireResult::Fired, vec![id]))
            },
            |book| {
                book.kept.remove(&id);
                if let Some(armed) = armed_before {
                    book.arm(undone, armed);
                }
            },
        )
        .await
    }

    /// Notes what the store has written in the place of another.
    pub(in crate::journal) fn fell_back(
        &self,
        id: ExecutionId,
        other: ExecutionId,
        instead: &FallingBack,
        now: DateTime<Utc>,
    ) {
        let row = {
            let mut book = self.book();
            let Some(kept) = book.kept.remove(&id) else {
                return;
            };
            fallback(&kept.row, other, instead, now)
        };
        self.note(row);
    }

    /// Both stand in the file, or neither.
    pub(in crate::journal) async fn fall_back(
        &self,
        id: ExecutionId,
        reason: &str,
        evidence: Value,
        instead: FallingBack,
        now: DateTime<Utc>,
    ) -> Result<ExecutionId, JournalError> {
        let other = instead.id;
        let before = self.book().kept.get(&id).cloned();
        self.add(
            instead.action.closes(),
            |book| {
                let of = book.get(id)?;
                let key = fallback_key(&of.row.trigger_key);
                let row = fallback(&of.row, other, &instead, now);
                let stands = book.kept.values().find(|kept| kept.row.trigger_key == key);
                if let Some(stands) = stands {
                    return Ok((stands.row.id, vec![]));
                }
                let of = book.get(id)?;
                if !super::super::sending::leads(of.row.state, State::Failed) {
                    return Err(JournalError::WrongState {
                        execution: id,
                        found: of.row.state,
                        wanted: State::Failed,
                    });
                }
                of.row.state = State::Failed;
                of.row.reason = Some(reason.to_owned());
                of.row.evidence = Some(evidence);
                of.row.finished_at = Some(now);
                let arming = (row.automation.clone(), row.position, row.rule_version);
                if let Some(armed) = book.armed(&arming) {
                    let episode = row.episode;
                    let opened = OpenedEpisode::Fired {
                        episode,
                        execution: other,
                    };
                    book.arm(arming, Armed { opened, ..armed });
                }
                book.kept.insert(other, Kept::of_row(row));
                Ok((other, vec![id, other]))
            },
            |book| {
                book.kept.remove(&other);
                if let Some(before) = before {
                    book.kept.insert(id, before);
                }
            },
        )
        .await
    }

    /// Whether an arming is one of a rule that protects, as far as is known.
    pub(in crate::journal) fn protects(&self, key: &ArmingKey) -> bool {
        self.book().armed(key).is_some_and(|armed| armed.protects)
    }

    /// Arms in memory alone what follows on what has fired, where whoever asks has been told that its
    /// execution has ended, and what was never armed.
    pub(in crate::journal) fn arm_here(
        &self,
        key: ArmingKey,
        episode: i64,
        from: DateTime<Utc>,
    ) -> Result<OpenedEpisode, JournalError> {
        let mut book = self.book();
        let Some(armed) = book.armed(&key) else {
            if !book.knows_all || episode != FIRST_EPISODE {
                return Err(unknown());
            }
            let opened = OpenedEpisode::Armed { episode, from };
            let armed = Armed {
                opened,
                protects: true,
                only_here: true,
            };
            book.arm(key, armed);
            return Ok(opened);
        };
        match armed.opened {
            OpenedEpisode::Fired {
                episode: fired,
                execution,
            } if episode == fired + 1 && has_ended(book.kept.get(&execution)) => {
                let opened = OpenedEpisode::Armed { episode, from };
                let armed = Armed {
                    opened,
                    only_here: true,
                    ..armed
                };
                book.arm(key, armed);
                Ok(opened)
            }
            stands => Ok(stands),
        }
    }

    /// What holds back an execution that is to be sent as this action, as far as is known.
    pub(in crate::journal) fn held_back(
        &self,
        id: ExecutionId,
        action: Action,
        now: DateTime<Utc>,
    ) -> Option<SkipReason> {
        let book = self.book();
        let kept = book.kept.get(&id)?;
        book.held_back(&kept.row.account, &kept.row.automation)
            .or_else(|| book.exceeded(kept, action, now).map(SkipReason::from))
    }

    /// A position took another's place, and inherits.
    pub(in crate::journal) fn succeeded(&self, predecessor: PositionId, successor: PositionId) {
        self.book().inherit(predecessor, successor);
    }

    /// The position in whose place an execution opens another, if it does.
    pub(in crate::journal) fn reopened_by(&self, id: ExecutionId) -> Option<PositionId> {
        let book = self.book();
        let row = &book.kept.get(&id)?.row;
        matches!(row.action, Action::Reopen(_)).then_some(row.position)
    }
}

/// The number of the episode that a position begins with.
const FIRST_EPISODE: i64 = 1;

/// What is known no more has ended, or is known to nobody.
fn has_ended(kept: Option<&Kept>) -> bool {
    kept.is_none_or(|kept| kept.row.state.is_final() && kept.place != Place::Aside)
}

fn unknown() -> JournalError {
    StoreError::unavailable("it does not answer, and what it has armed is not known here").into()
}

fn key(new: &NewExecution) -> ArmingKey {
    (new.automation.clone(), new.position, new.rule_version)
}

fn planned(new: &NewExecution, now: DateTime<Utc>) -> Execution {
    Execution {
        id: new.id,
        trigger_key: live_trigger_key(&new.automation, new.position, new.rule_version, new.episode),
        source: Source::Live,
        automation: new.automation.clone(),
        account: new.account.clone(),
        user: new.user.clone(),
        position: new.position,
        rule_version: new.rule_version,
        episode: new.episode,
        state: State::Planned,
        action: new.action,
        decision: new.decision.clone(),
        before: None,
        attempts: 0,
        reason: None,
        evidence: None,
        outcome: None,
        epoch: None,
        created_at: now,
        sending_at: None,
        finished_at: None,
    }
}

/// What is done in the place of an execution.
fn fallback(
    of: &Execution,
    id: ExecutionId,
    instead: &FallingBack,
    now: DateTime<Utc>,
) -> Execution {
    Execution {
        id,
        trigger_key: fallback_key(&of.trigger_key),
        state: State::Planned,
        action: instead.action,
        decision: instead.decision.clone(),
        before: None,
        attempts: 0,
        reason: None,
        evidence: None,
        outcome: None,
        epoch: None,
        created_at: now,
        sending_at: None,
        finished_at: None,
        ..of.clone()
    }
}
