//! `Automation`: one live rule of one account, for all its positions.
//!
//! - Owner: the account's `Connection`. Set aside when it dies too often.
//! - Owns: its arming, as far as it is in memory; what counts is in the store.
//! - In: `BookChanged`, `LevelReached`, `ExecutionEnded`, `FeedStarted`. Out: `Watch` and `Unwatch`
//!   to the price feed, `Submit` and `TakeUp` to the intake.
//! - Bound: one level and at most one unfinished execution for each position.
//! - Death: a fresh one reads arming from the store; an execution that was written down is carried
//!   out by the intake whether or not this actor lives.
//! - Stop: its levels are taken out; armed episodes stay armed in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use chrono::{DateTime, Utc};

use super::connection::{ExecutionEnded, FeedStarted};
use super::intake::{Submit, TakeUp};
use super::price_feed::{LevelReached, Unwatch, Watch};
use super::shared::{Account, Shared};
use super::work::{self, Work};
use crate::domain::arming::{Arming, Effect, Ended, Event as ArmingEvent, Phase};
use crate::domain::execution::{self, Danger, Decision, Seen};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::position::Position;
use crate::domain::rules::Rule;
use crate::journal::{FireResult, JournalError, NewExecution, OpenedEpisode};
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// How often an execution that has not ended is looked up, in case its end was told to nobody.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The book or the price's usability changed.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct BookChanged;

/// What an automation is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomationPlan {
    /// Its id.
    pub id: AutomationId,
    /// The version of its rule: raised by every change of the configuration.
    pub rule_version: i64,
    /// The rule.
    pub rule: Arc<Rule>,
}

struct Tracked {
    arming: Arming,
    key: u64,
    /// The position as its level was made for it.
    position: Position,
    tick_at: Option<Duration>,
}

/// See the module's documentation.
pub struct Automation {
    shared: Arc<Shared>,
    account: Arc<Account>,
    plan: AutomationPlan,
    tracked: HashMap<PositionId, Tracked>,
}

impl Automation {
    /// An automation that has not looked at its account yet.
    pub fn new(shared: Arc<Shared>, account: Arc<Account>, plan: AutomationPlan) -> Self {
        Self {
            shared,
            account,
            plan,
            tracked: HashMap::new(),
        }
    }

    fn utc(&self) -> DateTime<Utc> {
        self.shared.clock.utc()
    }

    fn usable_price(&self) -> Option<Seen> {
        let freshness = &self.shared.tuning.freshness;
        self.account
            .network
            .price
            .usable(self.shared.clock.mono(), freshness)
    }

    fn look_at_book(&mut self, context: &mut Context<Self>) {
        let view = self.account.view.load_full();
        if view.read_at.is_none() {
            return;
        }
        let gone: Vec<_> = self
            .tracked
            .keys()
            .filter(|id| view.row(**id).is_none())
            .copied()
            .collect();
        for id in gone {
            self.forget(id);
        }
        for row in &view.rows {
            let id = row.position.id;
            match self.tracked.get_mut(&id) {
                None => self.track(&row.position, context),
                Some(tracked) if tracked.position != row.position => {
                    tracked.position = row.position.clone();
                    if tracked.arming.phase == Phase::Armed {
                        self.watch(id, None, context);
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn track(&mut self, position: &Position, context: &mut Context<Self>) {
        let (arming, effect) = Arming::first();
        let key = self.shared.level_key();
        let tracked = Tracked {
            arming,
            key,
            position: position.clone(),
            tick_at: None,
        };
        self.tracked.insert(position.id, tracked);
        self.perform(position.id, effect, context);
    }

    fn forget(&mut self, id: PositionId) {
        if let Some(tracked) = self.tracked.remove(&id) {
            self.account.network.feed.tell(Unwatch(tracked.key));
        }
    }

    fn apply(&mut self, id: PositionId, event: ArmingEvent, context: &mut Context<Self>) {
        let (now, cooldown) = (self.utc(), self.plan.rule.cooldown());
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        if let Some(effect) = tracked.arming.step(event, now, cooldown) {
            self.perform(id, effect, context);
        }
    }

    fn perform(&mut self, id: PositionId, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Open { episode } => self.open(id, episode, context),
            Effect::Watch => self.watch(id, None, context),
            Effect::Fire { episode } => self.fire(id, episode, context),
            Effect::WakeAt(at) => {
                let pause = (at - self.utc()).to_std().unwrap_or_default();
                context.run_later(pause, move |automation, context| {
                    automation.apply(id, ArmingEvent::Due, context);
                });
            }
        }
    }

    fn open(&mut self, id: PositionId, episode: i64, context: &mut Context<Self>) {
        let (shared, plan, now) = (Arc::clone(&self.shared), self.plan.clone(), self.utc());
        let opening = async move {
            shared
                .journal
                .open_episode(&plan.id, id, plan.rule_version, episode, now)
                .await
        };
        let opened = move |opened, automation: &mut Self, context: &mut Context<Self>| {
            automation.opened(id, opened, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(opening).map(opened));
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
        match opened {
            Ok(OpenedEpisode::Armed { episode }) => {
                tracked.arming.episode = episode;
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

    /// Decides now; where the rule is not true, registers the level at which it will be.
    fn watch(&mut self, id: PositionId, tick_at: Option<Duration>, context: &mut Context<Self>) {
        let seen = self.usable_price();
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        if seen.is_some_and(|seen| self.plan.rule.is_reached(&tracked.position, seen.price)) {
            tracked.tick_at = tick_at;
            self.account.network.feed.tell(Unwatch(tracked.key));
            self.apply(id, ArmingEvent::ConditionTrue, context);
            return;
        }
        let level = self.plan.rule.level(&tracked.position);
        let to = context.address().downgrade().recipient();
        // Where there is no feed now, the next one is announced and asked then.
        self.account.network.feed.tell(Watch {
            key: tracked.key,
            level,
            to,
        });
    }

    fn fire(&mut self, id: PositionId, episode: i64, context: &mut Context<Self>) {
        let (Some(tracked), Some(seen)) = (self.tracked.get(&id), self.usable_price()) else {
            self.apply(id, ArmingEvent::StoreFailed, context);
            return;
        };
        let Rule::MarginGuard(guard) = &*self.plan.rule;
        let decision = Decision::of_guard(guard, &tracked.position, seen);
        let work = Work::fresh(
            ExecutionId(uuid::Uuid::now_v7()),
            Arc::clone(&self.account),
            &self.plan,
            id,
            decision,
            Danger::of_guard(&tracked.position, seen.price),
            tracked.tick_at,
        );
        let new = NewExecution {
            id: work.id,
            automation: self.plan.id.clone(),
            account: self.account.tag.id.clone(),
            user: self.account.user.clone(),
            position: id,
            rule_version: self.plan.rule_version,
            episode,
            action: execution::intended(&self.plan.rule),
            decision: work.decision.clone(),
        };
        let (shared, now) = (Arc::clone(&self.shared), self.utc());
        let firing = async move { shared.journal.fire(new, now).await };
        let fired = move |fired, automation: &mut Self, context: &mut Context<Self>| {
            automation.fired(work, episode, fired, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(firing).map(fired));
    }

    fn fired(
        &mut self,
        work: Work,
        episode: i64,
        fired: Result<FireResult, JournalError>,
        context: &mut Context<Self>,
    ) {
        let id = work.position;
        match fired {
            Ok(FireResult::Fired) => {
                let execution = work.id;
                self.shared.events.emit(Event::Triggered {
                    account: self.account.tag.clone(),
                    automation: self.plan.id.clone(),
                    position: id,
                    execution,
                    episode,
                    price: work.decision.price,
                    metric_value: work.decision.metric_value,
                });
                failpoint::pass("automation.fired", &self.account.tag.name);
                // An intake that is being restarted finds the row in the journal.
                self.shared.intake.tell(Submit(work));
                self.apply(id, ArmingEvent::Fired(execution), context);
                self.look_up_later(id, execution, context);
            }
            Ok(FireResult::FiredBefore(execution)) => {
                self.apply(id, ArmingEvent::FiredBefore(execution), context);
                self.look_up(id, execution, context);
            }
            Err(JournalError::NotArmed { .. }) => {
                // The store knows better what stands: it is asked anew.
                self.forget(id);
                self.look_at_book(context);
            }
            Err(error) => {
                self.store_failed(&error);
                self.apply(id, ArmingEvent::StoreFailed, context);
            }
        }
    }

    fn look_up_later(
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

    fn look_up(&mut self, id: PositionId, execution: ExecutionId, context: &mut Context<Self>) {
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

    fn store_failed(&self, error: &JournalError) {
        self.shared.events.emit(Event::Alarm {
            account: self.account.tag.clone(),
            what: "store_failed",
            detail: error.to_string(),
        });
    }
}

impl Actor for Automation {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("automation.started", self.plan.id.as_str());
        self.look_at_book(context);
    }
}

impl Drop for Automation {
    fn drop(&mut self) {
        for tracked in self.tracked.values() {
            self.account.network.feed.tell(Unwatch(tracked.key));
        }
    }
}

impl Handler<BookChanged> for Automation {
    type Result = ();

    fn handle(&mut self, _: BookChanged, context: &mut Context<Self>) {
        self.look_at_book(context);
    }
}

impl Handler<LevelReached> for Automation {
    type Result = ();

    fn handle(&mut self, reached: LevelReached, context: &mut Context<Self>) {
        let armed = self.tracked.iter().find(|(_, tracked)| {
            tracked.key == reached.key && tracked.arming.phase == Phase::Armed
        });
        if let Some((&id, _)) = armed {
            self.watch(id, reached.tick_at, context);
        }
    }
}

impl Handler<ExecutionEnded> for Automation {
    type Result = ();

    fn handle(&mut self, ended: ExecutionEnded, context: &mut Context<Self>) {
        let phase = Phase::Fired(ended.ended.execution);
        let waiting = self
            .tracked
            .iter()
            .find(|(_, tracked)| tracked.arming.phase == phase);
        if let Some((&id, _)) = waiting {
            self.apply(id, ArmingEvent::Ended(ended.ended), context);
        }
    }
}

impl Handler<FeedStarted> for Automation {
    type Result = ();

    fn handle(&mut self, _: FeedStarted, context: &mut Context<Self>) {
        let armed: Vec<_> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.arming.phase == Phase::Armed)
            .map(|(id, _)| *id)
            .collect();
        for id in armed {
            self.watch(id, None, context);
        }
    }
}

crate::crashable!(Automation);
