//! Firing: the execution is written down with its episode, then given to the intake.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::connection::Fired;
use super::super::intake::Submit;
use super::super::limits;
use super::super::work::Work;
use super::Automation;
use crate::domain::arming::Event as ArmingEvent;
use crate::domain::execution::{self, Danger, Decision};
use crate::domain::ids::{ExecutionId, PositionId};
use crate::journal::{FireResult, JournalError, NewExecution};
use crate::supervision::failpoint;
use crate::telemetry::Event;

impl Automation {
    pub(super) fn fire(&mut self, id: PositionId, episode: i64, context: &mut Context<Self>) {
        let (Some(tracked), Some(seen)) = (self.tracked.get(&id), self.usable_price()) else {
            self.apply(id, ArmingEvent::StoreFailed, context);
            return;
        };
        let rule = &self.plan.rule;
        let position = tracked.position.as_ref();
        let decided_at = self.shared.clock.mono();
        // Without a tick nobody waited for this decision.
        if let (Some(_), Some(reached_at)) = (tracked.tick_at, tracked.reached_at) {
            let hops = &self.shared.events.metrics().hops;
            hops.decided.observe(decided_at.saturating_sub(reached_at));
        }
        let work = Work::fresh(
            ExecutionId(uuid::Uuid::now_v7()),
            Arc::clone(&self.account),
            &self.plan,
            id,
            Decision::of(rule, tracked.subject(), seen).on(&self.account.network.network.name),
            Danger::of(rule.kind(), position, seen.price),
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
            action: execution::planned(rule, false, position),
            decision: work.decision.clone(),
        };
        let (shared, now, its) = (Arc::clone(&self.shared), self.utc(), rule.limits());
        let firing = async move { shared.journal.fire(new, its, now).await };
        let fired = move |fired, automation: &mut Self, context: &mut Context<Self>| {
            automation.fired(work, episode, decided_at, fired, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(firing).map(fired));
    }

    fn fired(
        &mut self,
        mut work: Work,
        episode: i64,
        decided_at: Duration,
        fired: Result<FireResult, JournalError>,
        context: &mut Context<Self>,
    ) {
        let id = work.position;
        match fired {
            Ok(FireResult::Fired) => {
                let execution = work.id;
                self.let_through(id);
                let (now, hops) = (self.shared.clock.mono(), &self.shared.events.metrics().hops);
                if work.tick_at.is_some() {
                    hops.fired.observe(now.saturating_sub(decided_at));
                    work.last_hop = Some(now);
                }
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
                // While another connection takes over, both have an automation of this rule.
                self.account.connection.tell(Fired {
                    automation: self.plan.id.clone(),
                    rule_version: self.plan.rule_version,
                    position: id,
                    episode,
                    execution,
                });
                self.apply(id, ArmingEvent::Fired(execution), context);
                self.look_up_later(id, execution, context);
            }
            Ok(FireResult::FiredBefore(execution)) => {
                self.apply(id, ArmingEvent::FiredBefore(execution), context);
                self.look_up(id, execution, context);
            }
            Ok(FireResult::LimitReached { until }) => {
                self.shared.events.emit(Event::Alarm {
                    account: self.account.tag.clone(),
                    what: "daily_limit",
                    detail: format!(
                        "automation {} may not act on position {id} before {until}: it has acted \
                         as often as its max_executions_per_day allows",
                        self.plan.id
                    ),
                });
                self.apply(id, ArmingEvent::Limited(until), context);
            }
            Ok(FireResult::ProtectionReached { limit, until }) => {
                let now = self.utc();
                limits::tell(&self.shared, &self.account.tag, limit, now);
                let again = limits::look_again(until, now);
                self.apply(id, ArmingEvent::Limited(again), context);
            }
            Ok(FireResult::Completed) => {
                self.shared.events.emit(Event::Completed {
                    account: self.account.tag.clone(),
                    automation: self.plan.id.clone(),
                });
                self.apply(id, ArmingEvent::Completed, context);
            }
            Err(error @ (JournalError::Stopped | JournalError::Paused)) => {
                self.held_back(id, error == JournalError::Paused);
                self.apply(id, ArmingEvent::Stopped, context);
            }
            Err(JournalError::NotArmed { .. }) => {
                // The store knows better what stands: it is asked anew.
                self.forget(id);
                self.look_at_book(context);
                self.leave(context);
            }
            Err(error) => {
                self.store_failed(&error);
                self.apply(id, ArmingEvent::StoreFailed, context);
            }
        }
    }

    /// Told once, until it may act again.
    fn held_back(&mut self, id: PositionId, paused: bool) {
        let Some(tracked) = self.tracked.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut tracked.held_back, true) {
            return;
        }
        let (what, why) = if paused {
            ("account_paused", "the account is paused")
        } else {
            ("kill_switch", "a kill switch is on")
        };
        self.shared.events.emit(Event::Alarm {
            account: self.account.tag.clone(),
            what,
            detail: format!(
                "automation {} would act on position {id}, and {why}",
                self.plan.id
            ),
        });
    }

    fn let_through(&mut self, id: PositionId) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.held_back = false;
        }
    }
}
