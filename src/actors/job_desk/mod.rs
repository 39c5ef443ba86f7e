//! `JobDesk`: jobs on their way from the queue to the intake and back.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: the consumer of the queue and the jobs in hand.
//! - In: `FromQueue` from its consumer, `JobMoved` from the intake, `CloseDesk` from the supervisor.
//!   Out: `Submit` and `TakeUp` to the intake.
//! - Bound: `queue.take` jobs in hand, of which `queue.concurrency` run; no job holds a place while
//!   its execution waits for a proof or its next try.
//! - Death: its jobs are handed out again when their leases have run out; what they had planned
//!   stands in the journal and is taken up, not planned again.
//! - Stop: nothing more is taken, what has not begun is handed back, what runs is settled within the
//!   deadline of the stop.

mod admit;
mod check;
mod plan;
mod remark;
mod report;
mod serve;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::intake::{Submit, TakeUp};
use super::shared::Shared;
use super::work;
use crate::domain::ids::{AccountId, AutomationId, ExecutionId};
use crate::domain::jobs::{Danger, Desk, JobKey};
use crate::queue::{Outcome, Taken};
use crate::supervision::failpoint;
use admit::Arrivals;
use check::Checked;
use plan::Plan;

/// How often the desk looks for what has waited too long.
const BEAT: Duration = Duration::from_secs(1);
/// How often executions are looked up that a job waits for, in case their end was told to nobody.
const LOOK_UP: Duration = Duration::from_secs(5);

/// A job that the consumer took.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromQueue(pub Taken);

/// An execution has moved on; of interest where a job waits for it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum JobMoved {
    /// It has ended.
    Ended(ExecutionId),
    /// It has ended, and the other is carried out in its place.
    Instead(ExecutionId, ExecutionId),
    /// It waits for a proof or its next try.
    Parked(ExecutionId),
}

/// Takes nothing more, hands back what has not begun, and answers when what runs is settled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseDesk(pub Duration);

struct Held {
    taken: Taken,
    checked: Arc<Checked>,
    plan: Option<Plan>,
    waits_for: HashSet<ExecutionId>,
}

/// See the module's documentation.
pub struct JobDesk {
    shared: Arc<Shared>,
    desk: Desk,
    held: HashMap<JobKey, Held>,
    following: HashMap<ExecutionId, JobKey>,
    arrivals: Arrivals,
    /// Account and danger of automations, as last seen.
    known: HashMap<AutomationId, (AccountId, Danger)>,
    close: Option<oneshot::Sender<Duration>>,
    closing: bool,
}

impl JobDesk {
    /// A desk with nothing on it.
    pub fn new(shared: Arc<Shared>) -> Self {
        let desk = Desk::new(shared.tuning.desk);
        Self {
            shared,
            desk,
            held: HashMap::new(),
            following: HashMap::new(),
            arrivals: Arrivals::default(),
            known: HashMap::new(),
            close: None,
            closing: false,
        }
    }

    /// Begins the jobs whose turn it is.
    fn begin(&mut self, context: &mut Context<Self>) {
        while !self.closing
            && let Some(request) = self.desk.begin_next()
        {
            let key = request.key;
            let Some(held) = self.held.get(&key) else {
                self.desk.end(&key);
                continue;
            };
            let (shared, checked) = (Arc::clone(&self.shared), Arc::clone(&held.checked));
            let planning = async move { plan::plan(&shared, &checked).await };
            let planned = move |planned, desk: &mut Self, context: &mut Context<Self>| {
                desk.planned(&key, planned, context);
            };
            context.spawn(actix::fut::wrap_future::<_, Self>(planning).map(planned));
        }
    }

    fn planned(
        &mut self,
        key: &JobKey,
        planned: Result<Plan, Outcome>,
        context: &mut Context<Self>,
    ) {
        let plan = match planned {
            Ok(plan) => plan,
            Err(outcome) => return self.settle(key, outcome, context),
        };
        failpoint::pass("job.planned", &key.id);
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        for work in &plan.works {
            held.waits_for.insert(work.id);
            self.following.insert(work.id, key.clone());
            // An intake that is being restarted finds the row in the journal.
            self.shared.intake.tell(Submit(work.clone()));
        }
        for id in &plan.others {
            held.waits_for.insert(*id);
            self.following.insert(*id, key.clone());
            self.shared.intake.tell(TakeUp(*id));
        }
        let nothing = held.waits_for.is_empty();
        held.plan = Some(plan);
        if nothing {
            self.finish(key, context);
        }
    }

    fn ended(&mut self, execution: ExecutionId, context: &mut Context<Self>) {
        let Some(key) = self.following.remove(&execution) else {
            return;
        };
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        held.waits_for.remove(&execution);
        if held.waits_for.is_empty() {
            self.finish(&key, context);
        }
    }

    /// All that a job asked for has ended: its outcome is made of what the journal says.
    fn finish(&mut self, key: &JobKey, context: &mut Context<Self>) {
        let Some(held) = self.held.get_mut(key) else {
            return;
        };
        let plan = held.plan.clone().unwrap_or_default();
        let (shared, checked) = (Arc::clone(&self.shared), Arc::clone(&held.checked));
        let key = key.clone();
        let reporting = async move { report::outcome(&shared, &checked, plan).await };
        let reported = move |outcome, desk: &mut Self, context: &mut Context<Self>| {
            desk.settle(&key, outcome, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(reporting).map(reported));
    }

    /// Says what became of a job.
    fn give(&self, taken: Taken, outcome: Outcome) {
        let jobs = &self.shared.events.metrics().jobs;
        match outcome {
            Outcome::Completed(_) => jobs.completed.one(),
            Outcome::Retry(_) => jobs.attempts_failed.one(),
            Outcome::Failed(_) => jobs.failed.one(),
            Outcome::Later(_) | Outcome::Released => jobs.returned.one(),
        }
        taken.settle(outcome);
    }

    fn settle(&mut self, key: &JobKey, outcome: Outcome, context: &mut Context<Self>) {
        self.desk.end(key);
        if let Some(held) = self.held.remove(key) {
            for execution in &held.waits_for {
                self.following.remove(execution);
            }
            failpoint::pass("job.settling", &key.id);
            report::tell(&self.shared, &held.checked, &outcome);
            self.give(held.taken, outcome);
        }
        self.begin(context);
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        for (key, age) in self.desk.expire(self.shared.clock.utc()) {
            let most = self.shared.tuning.desk.max_age;
            self.settle(&key, report::expired(age, most), context);
        }
        context.run_later(BEAT, Self::beat);
    }

    /// Asks the journal for the ends that nobody told of.
    fn look_up(&mut self, context: &mut Context<Self>) {
        let (shared, ids) = (
            Arc::clone(&self.shared),
            self.following.keys().copied().collect::<Vec<_>>(),
        );
        let looking = async move {
            let mut ended = vec![];
            for id in ids {
                match work::ended(&shared.journal, id).await {
                    Ok(Some(_)) => ended.push(id),
                    Ok(None) => {
                        shared.intake.tell(TakeUp(id));
                    }
                    Err(error) => shared.store_failed("jobs", &error),
                }
            }
            ended
        };
        let found = |ended: Vec<ExecutionId>, desk: &mut Self, context: &mut Context<Self>| {
            for id in ended {
                desk.ended(id, context);
            }
            context.run_later(LOOK_UP, Self::look_up);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(looking).map(found));
    }
}

impl Actor for JobDesk {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("job_desk.started", "");
        // A service that only shows what it would do takes no job away from one that does it.
        if !self.shared.dry_run {
            self.serve(context);
        }
        self.beat(context);
        context.run_later(LOOK_UP, Self::look_up);
    }
}

impl Handler<JobMoved> for JobDesk {
    type Result = ();

    fn handle(&mut self, moved: JobMoved, context: &mut Context<Self>) {
        match moved {
            JobMoved::Ended(execution) => self.ended(execution, context),
            JobMoved::Instead(execution, other) => {
                let Some(key) = self.following.remove(&execution) else {
                    return;
                };
                self.following.insert(other, key.clone());
                if let Some(held) = self.held.get_mut(&key) {
                    held.waits_for.remove(&execution);
                    held.waits_for.insert(other);
                    if let Some(plan) = &mut held.plan {
                        plan.report_on.push(other);
                    }
                }
            }
            JobMoved::Parked(execution) => {
                if let Some(key) = self.following.get(&execution) {
                    self.desk.end(key);
                    self.begin(context);
                }
            }
        }
    }
}

crate::crashable!(JobDesk);
