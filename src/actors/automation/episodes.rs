//! Episodes in the store: opened before their level stands, and followed until their execution has
//! ended.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::intake::TakeUp;
use super::super::work;
use super::Automation;
use crate::domain::arming::{Ended, Event as ArmingEvent, Phase};
use crate::domain::execution;
use crate::domain::ids::{ExecutionId, PositionId};
use crate::journal::{JournalError, OpenedEpisode};
use crate::telemetry::Event;

/// How often an execution that has not ended is looked up, in case its end was told to nobody.
const LOOK_UP: Duration = Duration::from_secs(5);

impl Automation {
    pub(super) fn open(&mut self, id: PositionId, episode: i64, context: &mut Context<Self>) {
        let (shared, plan, now) = (Arc::clone(&self.shared), self.plan.clone(), self.utc());
        let from = self
            .tracked
            .get(&id)
            .and_then(|tracked| tracked.arming.from);
        let from = from.unwrap_or(now);
        let account = Arc::clone(&self.account);
        let ours = self.reopened_by(id);
        let opening = async move {
            // A trade that one of our own reductions reopened inherits before anything is armed.
            if let Some(execution) = ours
                && let Some(predecessor) = shared.journal.succeed(execution, id, now).await?
            {
                account.succeed(id, predecessor);
            }
            shared
                .journal
                .open_episode(
                    &plan.id,
                    id,
                    plan.rule_version,
                    episode,
                    from,
                    execution::protects(&plan.rule),
                )
                .await
        };
        let opened = move |opened, automation: &mut Self, context: &mut Context<Self>| {
            automation.opened(id, opened, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(opening).map(opened));
    }

    /// The execution that opened a trade, if it was one of ours and it is not known yet whose place
    /// the trade took.
    fn reopened_by(&self, id: PositionId) -> Option<ExecutionId> {
        if self.account.lineage.load().predecessor(id).is_some() {
            return None;
        }
        let tracked = self.tracked.get(&id)?;
        let position = tracked.position.as_ref().filter(|_| !tracked.opened)?;
        ExecutionId::of_client_id(position.client_id.as_deref()?)
    }

    /// The store's word counts: it may know a later episode, or that this one was fired.
    fn opened(
        &mut self,
        id: PositionId,
        opened: Result<OpenedEpisode, JournalError>,
        context: &mut Context<Self>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        tracked.opened |= opened.is_ok();
        match opened {
            Ok(OpenedEpisode::Armed { episode, from }) => {
                tracked.arming.episode = episode;
                tracked.arming.from = Some(from);
                self.shared.events.emit(Event::Armed {
                    account: self.account.tag.clone(),
                    automation: self.plan.id.clone(),
                    position: id,
                    episode,
                });
                self.apply(id, ArmingEvent::Opened, context);
            }
            Ok(OpenedEpisode::Fired { episode, execution }) => {
                tracked.arming.episode = episode;
                self.apply(id, ArmingEvent::FiredBefore(execution), context);
                self.look_up(id, execution, context);
            }
            Err(error) => {
                self.store_failed(&error);
                self.apply(id, ArmingEvent::StoreFailed, context);
            }
        }
    }

    /// Another execution does what the one that was waited for could not.
    pub(super) fn follow(
        &mut self,
        id: PositionId,
        execution: ExecutionId,
        context: &mut Context<Self>,
    ) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.arming.phase = Phase::Fired(execution);
            tracked.shown.stands(&tracked.arming);
            self.look_up_later(id, execution, context);
        }
    }

    pub(super) fn look_up_later(
        &mut self,
        id: PositionId,
        execution: ExecutionId,
        context: &mut Context<Self>,
    ) {
        context.run_later(LOOK_UP, move |automation, context| {
            let waits = automation
                .tracked
                .get(&id)
                .is_some_and(|tracked| tracked.arming.phase == Phase::Fired(execution));
            if waits {
                automation.look_up(id, execution, context);
            }
        });
    }

    pub(super) fn look_up(
        &mut self,
        id: PositionId,
        execution: ExecutionId,
        context: &mut Context<Self>,
    ) {
        let shared = Arc::clone(&self.shared);
        let looking = async move { work::ended(&shared.journal, execution).await };
        let found = move |ended: Result<Option<Ended>, JournalError>,
                          automation: &mut Self,
                          context: &mut Context<Self>| {
            match ended {
                Ok(Some(ended)) => automation.apply(id, ArmingEvent::Ended(ended), context),
                Ok(None) => {
                    // Written by a firing whose answer came too late to be submitted, or submitted
                    // to an intake that died over it.
                    automation.shared.intake.tell(TakeUp(execution));
                    automation.look_up_later(id, execution, context);
                }
                Err(error) => {
                    automation.store_failed(&error);
                    automation.look_up_later(id, execution, context);
                }
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(looking).map(found));
    }
}
