//! Waiting for the price: the level at which the rule becomes true, or false again, stands at the
//! price feed.

use std::time::Duration;

use actix::prelude::*;

use super::super::price_feed::{Unwatch, Watch};
use super::Automation;
use crate::domain::arming::{Event as ArmingEvent, Phase};
use crate::domain::ids::PositionId;
use crate::domain::levels::Level;

/// How soon a spent episode is looked at again while nothing confirms the price.
const UNSEEN: Duration = Duration::from_secs(1);

impl Automation {
    /// Decides now; where the rule is not true, registers the level at which it will be.
    pub(super) fn watch(
        &mut self,
        id: PositionId,
        tick_at: Option<Duration>,
        context: &mut Context<Self>,
    ) {
        let seen = self.usable_price();
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        let rule = &self.plan.rule;
        if seen.is_some_and(|seen| rule.is_reached(tracked.subject(), seen.price)) {
            tracked.tick_at = tick_at;
            self.account.network.feed.tell(Unwatch(tracked.key));
            self.apply(id, ArmingEvent::ConditionTrue, context);
            return;
        }
        let (key, level) = (tracked.key, rule.level(tracked.subject()));
        tracked.shown.waits_for(level);
        self.register(key, level, context);
    }

    /// Decides now; where the rule still is true, registers where it no longer will be.
    pub(super) fn watch_release(&mut self, id: PositionId, context: &mut Context<Self>) {
        let seen = self.usable_price();
        let Some(tracked) = self.tracked.get(&id) else {
            return;
        };
        let Some(seen) = seen else {
            self.wake_in(id, UNSEEN, context);
            return;
        };
        let rule = &self.plan.rule;
        if !rule.is_reached(tracked.subject(), seen.price) {
            self.account.network.feed.tell(Unwatch(tracked.key));
            self.apply(id, ArmingEvent::ConditionFalse, context);
            return;
        }
        let level = rule.level(tracked.subject()).released_from(seen.price);
        tracked.shown.waits_for(level);
        let key = tracked.key;
        self.register(key, level, context);
    }

    fn register(&self, key: u64, level: Level, context: &Context<Self>) {
        let to = context.address().downgrade().recipient();
        // Where there is no feed now, the next one is announced and asked then.
        self.account.network.feed.tell(Watch { key, level, to });
    }

    /// Looks anew at what waits for the price.
    pub(super) fn look_again(
        &mut self,
        id: PositionId,
        tick_at: Option<Duration>,
        context: &mut Context<Self>,
    ) {
        if self.retiring {
            return;
        }
        match self.tracked.get(&id).map(|tracked| tracked.arming.phase) {
            Some(Phase::Armed) => self.watch(id, tick_at, context),
            Some(Phase::Spent(_)) => self.watch_release(id, context),
            _ => {}
        }
    }
}
