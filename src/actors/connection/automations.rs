//! The automations of an account: started and ended with its connection, brought back when they die.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::automation::{Automation, AutomationPlan};
use super::super::verdict;
use super::Connection;
use crate::domain::arming::Ended;
use crate::domain::ids::{AutomationId, ExecutionId};
use crate::domain::restart::Tenure;
use crate::journal::JournalError;
use crate::supervision::{Child, ChildExit, OwnerGone, Ward, parent, start};
use crate::telemetry::Event;

/// The automations that the account should have now.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Plans(pub Vec<AutomationPlan>);

/// A new price feed knows no levels yet.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FeedStarted;

/// An execution of an automation of this account has ended.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct ExecutionEnded {
    /// The automation.
    pub automation: AutomationId,
    /// How.
    pub ended: Ended,
    /// The execution that does what it could not.
    pub instead: Option<ExecutionId>,
}

pub(super) struct Automated {
    pub(super) plan: AutomationPlan,
    ward: Ward,
    pub(super) child: Option<Child<Automation>>,
}

impl Automated {
    /// An automation that has not been started yet.
    pub(super) fn new(plan: AutomationPlan) -> Self {
        Self {
            plan,
            ward: Ward::new(Tenure::Replaceable),
            child: None,
        }
    }
}

impl Connection {
    /// Those of its automations that run.
    pub(super) fn children(&self) -> impl Iterator<Item = &Child<Automation>> {
        let automated = self.automations.values();
        automated.filter_map(|automated| automated.child.as_ref())
    }

    pub(super) fn start_automation(&mut self, id: &AutomationId, context: &mut Context<Self>) {
        let now = self.now();
        let awaits = self.awaits(id, context);
        let Some(automated) = self.automations.get_mut(id) else {
            return;
        };
        let generation = automated.ward.starts(now);
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.account));
        let plan = automated.plan.clone();
        let name = plan.id.as_str().to_owned();
        automated.child = Some(start(
            &self.shared.trading,
            name,
            generation,
            OwnerGone::End,
            parent(context),
            move |_| Automation::new(shared, account, plan, awaits),
        ));
        let actor = format!("automation/{id}");
        let restarts = automated.ward.restarts();
        self.shared.events.emit(if restarts == 0 {
            Event::ActorStarted { actor, generation }
        } else {
            Event::ActorRestarted { actor, restarts }
        });
    }

    /// Which trades took another's place, as the store knows it; automations that name trades wait
    /// for it.
    pub(super) fn learn_lineage(&self, context: &mut Context<Self>) {
        const AGAIN: Duration = Duration::from_millis(250);
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.account));
        let learning = async move {
            let learned = shared.journal.lineage(&account.tag.id).await;
            learned.map(|lineage| account.lineage.store(Arc::new(lineage)))
        };
        let learned = |learned, connection: &mut Self, context: &mut Context<Self>| match learned {
            Ok(()) => {
                if let Some(candidate) = &mut connection.candidate {
                    candidate.knows_lineage = true;
                }
                connection.publish();
                connection.advance(context);
            }
            Err(error) => {
                let error: JournalError = error;
                connection.shared.store_failed("successions", &error);
                context.run_later(AGAIN, |connection, context| {
                    connection.learn_lineage(context);
                });
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(learning).map(learned));
    }

    fn end_automation(&mut self, id: &AutomationId) {
        self.awaits_no_more(id);
        if self.automations.remove(id).is_some() {
            self.account.watches.forgets(id);
            let actor = format!("automation/{id}");
            self.shared.events.emit(Event::ActorStopped { actor });
        }
    }
}

impl Handler<Plans> for Connection {
    type Result = ();

    fn handle(&mut self, Plans(plans): Plans, context: &mut Context<Self>) {
        let gone: Vec<_> = self
            .automations
            .iter()
            .filter(|(_, automated)| !plans.contains(&automated.plan))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.end_automation(&id);
        }
        for plan in plans {
            let id = plan.id.clone();
            if !self.automations.contains_key(&id) {
                self.automations.insert(id.clone(), Automated::new(plan));
                if self.arms() {
                    self.start_automation(&id, context);
                }
            }
        }
        self.advance(context);
    }
}

impl Handler<ExecutionEnded> for Connection {
    type Result = ();

    fn handle(&mut self, ended: ExecutionEnded, _: &mut Context<Self>) {
        if let Some(successor) = &self.successor {
            successor.do_send(ended.clone());
        }
        let automated = self.automations.get(&ended.automation);
        if let Some(child) = automated.and_then(|automated| automated.child.as_ref()) {
            child.addr().do_send(ended);
        }
    }
}

impl Handler<FeedStarted> for Connection {
    type Result = ();

    fn handle(&mut self, started: FeedStarted, _: &mut Context<Self>) {
        for child in self.children() {
            child.addr().do_send(started);
        }
    }
}

impl Handler<ChildExit> for Connection {
    type Result = ();

    fn handle(&mut self, exit: ChildExit, context: &mut Context<Self>) {
        let (now, roll) = (self.now(), self.shared.clock.roll());
        let id = AutomationId::new(&exit.child);
        let Some(automated) = self.automations.get_mut(&id) else {
            return;
        };
        let policy = &self.shared.tuning.restart;
        let Some(verdict) = automated.ward.exited(&exit, now, policy, roll) else {
            return;
        };
        automated.child = None;
        if self.retiring {
            self.leave(context);
            return;
        }
        let actor = format!("automation/{id}");
        let pause = verdict::tell(&self.shared.events, actor, &exit.exit, &verdict);
        context.run_later(pause, move |connection, context| {
            // Disabled and enabled meanwhile, it has a successor already.
            let automated = connection.automations.get(&id);
            if connection.arms() && automated.is_some_and(|automated| automated.child.is_none()) {
                connection.start_automation(&id, context);
            }
        });
    }
}

#[cfg(feature = "failpoints")]
mod crash {
    use super::*;
    use crate::supervision::failpoint::{Crash, Place};

    /// Crashes one of the account's automations.
    #[derive(Message)]
    #[rtype(result = "()")]
    pub struct CrashAutomation(pub AutomationId, pub Place);

    impl Handler<CrashAutomation> for Connection {
        type Result = ();

        fn handle(&mut self, CrashAutomation(id, place): CrashAutomation, _: &mut Context<Self>) {
            let child = self
                .automations
                .get(&id)
                .and_then(|automated| automated.child.as_ref());
            if let Some(child) = child {
                child.addr().do_send(Crash(place));
            }
        }
    }
}

#[cfg(feature = "failpoints")]
pub use crash::CrashAutomation;
