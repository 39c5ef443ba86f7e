//! `Automation`: one live rule of one account, for all its positions, or for the market.
//!
//! - Owner: the account's `Connection`. Set aside when it dies too often.
//! - Owns: its arming, as far as it is in memory; what counts is in the store.
//! - In: `BookChanged`, `LevelReached`, `ExecutionEnded`, `FeedStarted`, `Fired`, `Retire`. Out:
//!   `Watch` and `Unwatch` to the price feed, `Submit` and `TakeUp` to the intake, `Fired` and
//!   `Stands` to its connection.
//! - Bound: one level and at most one unfinished execution for each position.
//! - Death: a fresh one reads arming from the store; an execution that was written down is carried
//!   out by the intake whether or not this actor lives.
//! - Stop: its levels are taken out; armed episodes stay armed in the store.

mod episodes;
mod firing;
mod places;
mod watching;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use chrono::{DateTime, Utc};

use super::connection::{ExecutionEnded, FeedStarted};
use super::price_feed::{LevelReached, Unwatch};
use super::shared::{Account, Row, Shared};
use super::shown::{Armed, Stance, Watched};
use crate::domain::arming::{Arming, Effect, Event as ArmingEvent, Habit, Phase};
use crate::domain::execution::{Danger, Seen};
use crate::domain::ids::{AutomationId, PositionId};
use crate::domain::position::Position;
use crate::domain::rules::{Rule, Subject};
use crate::journal::JournalError;
use crate::supervision::failpoint;

pub use places::Stands;

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
    shown: Arc<Armed>,
    /// The position as its level was made for it; none for an entry.
    position: Option<Position>,
    tick_at: Option<Duration>,
    /// When the feed sent word of that tick.
    reached_at: Option<Duration>,
    /// Whether a kill switch holds it back, and that has been told.
    held_back: bool,
    /// An episode of it was opened, so it is known whose place it took, if any.
    opened: bool,
}

impl Tracked {
    fn subject(&self) -> Subject<'_> {
        self.position
            .as_ref()
            .map_or(Subject::Market, Subject::Position)
    }
}

/// See the module's documentation.
pub struct Automation {
    shared: Arc<Shared>,
    account: Arc<Account>,
    plan: AutomationPlan,
    tracked: HashMap<PositionId, Tracked>,
    /// Who waits until it stands.
    awaits: Option<Recipient<Stands>>,
    /// Another has taken its place: it decides nothing any more.
    retiring: bool,
    watched: Arc<Watched>,
    /// What is tracked is shown.
    is_shown: bool,
}

impl Automation {
    /// An automation that has not looked at its account yet; `awaits` is told when it stands.
    pub fn new(
        shared: Arc<Shared>,
        account: Arc<Account>,
        plan: AutomationPlan,
        awaits: Option<Recipient<Stands>>,
    ) -> Self {
        let watched = account.watches.enters(plan.clone());
        Self {
            shared,
            account,
            plan,
            tracked: HashMap::new(),
            awaits,
            retiring: false,
            watched,
            is_shown: true,
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
        self.follow_book(context);
        if !std::mem::replace(&mut self.is_shown, true) {
            let shown = self.tracked.values();
            self.watched
                .shows(shown.map(|tracked| Arc::clone(&tracked.shown)));
        }
    }

    fn follow_book(&mut self, context: &mut Context<Self>) {
        let view = self.account.view.load_full();
        if view.read_at.is_none() || self.retiring {
            return;
        }
        if self.plan.rule.is_entry() {
            // Without a trigger it runs by job only.
            let by_itself = self.plan.rule.level(Subject::Market).is_reachable();
            if by_itself && !self.tracked.contains_key(&PositionId::MARKET) {
                self.track(PositionId::MARKET, None, context);
            }
            return;
        }
        let lineage = self.account.lineage.load_full();
        let mine = |position: &Position| self.plan.rule.is_for(position, &lineage);
        let gone: Vec<_> = self
            .tracked
            .keys()
            .filter(|id| !view.row(**id).is_some_and(|row| mine(&row.position)))
            .copied()
            .collect();
        let mut mine: Vec<_> = view.rows.iter().filter(|row| mine(&row.position)).collect();
        // What fires now is written down, and sent, in the order of its danger.
        if let Some(seen) = self.usable_price() {
            let kind = self.plan.rule.kind();
            let danger = |row: &&Row| Danger::of(kind, Some(&row.position), seen.price);
            mine.sort_by_cached_key(|row| Reverse(danger(row)));
        }
        for id in gone {
            self.forget(id);
        }
        for row in mine {
            let id = row.position.id;
            match self.tracked.get_mut(&id) {
                None => self.track(id, Some(row.position.clone()), context),
                Some(tracked) if tracked.position.as_ref() != Some(&row.position) => {
                    tracked.position = Some(row.position.clone());
                    match tracked.arming.phase {
                        Phase::Armed => self.watch(id, None, context),
                        Phase::Spent(_) => self.watch_release(id, context),
                        _ => {}
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn track(&mut self, id: PositionId, position: Option<Position>, context: &mut Context<Self>) {
        let (arming, effect) = Arming::first();
        let tracked = Tracked {
            arming,
            key: self.shared.level_key(),
            shown: Armed::new(id),
            position,
            tick_at: None,
            reached_at: None,
            held_back: false,
            opened: false,
        };
        self.tracked.insert(id, tracked);
        self.is_shown = false;
        self.perform(id, effect, context);
    }

    fn forget(&mut self, id: PositionId) {
        if let Some(tracked) = self.tracked.remove(&id) {
            self.is_shown = false;
            self.account.network.feed.tell(Unwatch(tracked.key));
        }
    }

    fn apply(&mut self, id: PositionId, event: ArmingEvent, context: &mut Context<Self>) {
        let (now, habit) = (self.utc(), Habit::of(&self.plan.rule));
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        let before = tracked.shown.stance().phase;
        let effect = tracked.arming.step(event, now, habit);
        tracked.shown.stands(&tracked.arming);
        let stance = tracked.shown.stance();
        if stance.phase != before {
            self.tell_waiting(id, &stance);
        }
        if self.retiring {
            self.leave(context);
        } else if let Some(effect) = effect {
            self.perform(id, effect, context);
        }
        self.tell_standing();
    }

    /// Why it does not act although it may be enabled and in danger's reach.
    fn tell_waiting(&self, id: PositionId, stance: &Stance) {
        let until = stance.until.map(|at| at.to_rfc3339());
        let tag = &self.account.tag;
        if matches!(stance.phase, "resting" | "spent") {
            tracing::info!(
                event = "automation.waits", account_id = %tag.id, account_name = %tag.name,
                automation = %self.plan.id, position = %id, episode = stance.episode,
                phase = stance.phase, until
            );
        }
    }

    fn perform(&mut self, id: PositionId, effect: Effect, context: &mut Context<Self>) {
        match effect {
            Effect::Open { episode } => self.open(id, episode, context),
            Effect::Watch => self.watch(id, None, context),
            Effect::WatchRelease => self.watch_release(id, context),
            Effect::Fire { episode } => self.fire(id, episode, context),
            Effect::WakeAt(at) => {
                let pause = (at - self.utc()).to_std().unwrap_or_default();
                self.wake_in(id, pause, context);
            }
        }
    }

    fn wake_in(&mut self, id: PositionId, pause: Duration, context: &mut Context<Self>) {
        context.run_later(pause, move |automation, context| {
            automation.apply(id, ArmingEvent::Due, context);
        });
    }

    fn store_failed(&self, error: &JournalError) {
        let tag = &self.account.tag;
        self.shared.alarm_store_failed(tag, error.to_string());
    }
}

impl Actor for Automation {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("automation.started", self.plan.id.as_str());
        self.look_at_book(context);
        self.tell_standing();
    }
}

impl Drop for Automation {
    fn drop(&mut self) {
        self.watched.leaves();
        for tracked in self.tracked.values() {
            self.account.network.feed.tell(Unwatch(tracked.key));
        }
    }
}

impl Handler<BookChanged> for Automation {
    type Result = ();

    fn handle(&mut self, _: BookChanged, context: &mut Context<Self>) {
        self.look_at_book(context);
        self.tell_standing();
    }
}

impl Handler<LevelReached> for Automation {
    type Result = ();

    fn handle(&mut self, reached: LevelReached, context: &mut Context<Self>) {
        let crossed = self
            .tracked
            .iter_mut()
            .find(|(_, tracked)| tracked.key == reached.key);
        if let Some((&id, tracked)) = crossed {
            tracked.reached_at = Some(reached.reached_at);
            self.look_again(id, reached.tick_at, context);
        }
    }
}

impl Handler<ExecutionEnded> for Automation {
    type Result = ();

    fn handle(&mut self, told: ExecutionEnded, context: &mut Context<Self>) {
        let phase = Phase::Fired(told.ended.execution);
        // More than one, where a trade's successor waits for what reopened it.
        let waiting: Vec<_> = self
            .tracked
            .iter()
            .filter(|(_, tracked)| tracked.arming.phase == phase)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            match told.instead {
                Some(execution) => self.follow(id, execution, context),
                None => self.apply(id, ArmingEvent::Ended(told.ended), context),
            }
        }
    }
}

impl Handler<FeedStarted> for Automation {
    type Result = ();

    fn handle(&mut self, _: FeedStarted, context: &mut Context<Self>) {
        let ids: Vec<_> = self.tracked.keys().copied().collect();
        for id in ids {
            self.look_again(id, None, context);
        }
    }
}

crate::crashable!(Automation);
