//! Taking the place of another automation of the same rule, and leaving one's own.

use actix::prelude::*;

use super::super::connection::{Fired, Retire};
use super::super::price_feed::Unwatch;
use super::Automation;
use crate::domain::arming::{Event as ArmingEvent, Phase};
use crate::domain::ids::AutomationId;

/// Every position is armed, or whatever else the store says of it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Stands(pub AutomationId);

impl Automation {
    /// Tells, once, that nothing is left to be opened.
    pub(super) fn tell_standing(&mut self) {
        let known = self.account.view.load().read_at.is_some();
        let opening = |tracked: &super::Tracked| tracked.arming.phase == Phase::Opening;
        if known
            && !self.tracked.values().any(opening)
            && let Some(awaits) = self.awaits.take()
        {
            awaits.do_send(Stands(self.plan.id.clone()));
        }
    }

    /// Ends when nothing is being written down that somebody has to carry out.
    pub(super) fn leave(&self, context: &mut Context<Self>) {
        let firing = |tracked: &super::Tracked| tracked.arming.phase == Phase::Firing;
        if self.retiring && !self.tracked.values().any(firing) {
            context.stop();
        }
    }
}

impl Handler<Fired> for Automation {
    type Result = ();

    /// What the other one fired is not armed here either: it would be taken for fired when it is next
    /// true, and that for the same time.
    fn handle(&mut self, fired: Fired, context: &mut Context<Self>) {
        let (id, execution) = (fired.position, fired.execution);
        let Some(tracked) = self.tracked.get(&id) else {
            return;
        };
        let armed = matches!(
            tracked.arming.phase,
            Phase::Opening | Phase::Armed | Phase::Firing
        );
        let same =
            self.plan.rule_version == fired.rule_version && tracked.arming.episode == fired.episode;
        if armed && same {
            self.apply(id, ArmingEvent::FiredBefore(execution), context);
            self.look_up(id, execution, context);
        }
    }
}

impl Handler<Retire> for Automation {
    type Result = ();

    fn handle(&mut self, _: Retire, context: &mut Context<Self>) {
        self.retiring = true;
        for tracked in self.tracked.values() {
            self.account.network.feed.tell(Unwatch(tracked.key));
        }
        self.leave(context);
    }
}
