//! Arming and firing, in the store or in the file of intents.

use chrono::{DateTime, Utc};

use super::super::intents::is_silence;
use super::super::{FireResult, Journal, JournalError, NewExecution, OpenedEpisode};
use crate::domain::ids::{AutomationId, PositionId};
use crate::domain::rules::Limits;

impl Journal {
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

    /// Writes an episode down as armed from a time on, if nothing was armed before, or the episode
    /// before it has fired and its execution has ended. Otherwise nothing is written; either way the
    /// answer is what stands now.
    ///
    /// Where the store does not answer and the rule `protects`, it is armed in memory alone: what is
    /// armed already, the next episode of what has fired, and the first of a position that nobody has
    /// met before. Should the process end, the next one arms it anew.
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
        protects: bool,
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
        if !(protects && intents.is_outage()) {
            // Many first episodes are opened at once, at the start; what has fired is in danger.
            let opened = match protects && intents.protects(&key) {
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
