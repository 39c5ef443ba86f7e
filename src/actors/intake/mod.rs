//! `Intake`: triggers on their way to the exchange: a bounded pool of executors, danger first, one
//! execution for each account at a time.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: the waiting executions and the pool of executors.
//! - In: `Submit` and `TakeUp` from automations, `Served` from the supervisor, `Finished` from
//!   executors, `Drain`. Out: `Run` to executors, `ExecutionEnded` to connections, `JobMoved` to the
//!   desk of jobs.
//! - Bound: `execution.live` executors; an automation has at most one unfinished execution for each
//!   position, so what waits is bounded by what is watched. No executor is held during a wait.
//! - Death: executors finish what they have in hand; a fresh intake reads all unfinished executions
//!   from the journal and leaves those in hand alone.
//! - Stop: nothing new is started; what waits stays written down.

mod deaths;
mod recover;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::connection::ExecutionEnded;
use super::executor::{Executor, Finished, Run, Verdict};
use super::job_desk::JobMoved;
use super::shared::Shared;
use super::work::Work;
use crate::domain::ids::{AccountId, ExecutionId, PositionId};
use crate::domain::restart::Tenure;
use crate::supervision::{Child, Marker, OwnerGone, Ward, failpoint, parent, start};
use crate::telemetry::Event;

/// How soon unfinished executions are read again after the store refused.
const STORE_RETRY: Duration = Duration::from_millis(250);
/// How old the order of what waits may be: each look at it costs as much as waits.
const ORDER_AGE: Duration = Duration::from_millis(20);
/// How often executors are looked after.
const BEAT: Duration = Duration::from_secs(1);

pub use recover::{Served, TakeUp};

/// An execution that stands in the journal and is to be carried out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit(pub Work);

/// Starts nothing new from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

struct Seat {
    ward: Ward,
    child: Option<Child<Executor>>,
    work: Option<Work>,
    /// When the work was given out.
    since: Duration,
}

/// See the module's documentation.
pub struct Intake {
    shared: Arc<Shared>,
    waiting: Vec<Work>,
    parked: Vec<(Duration, Work)>,
    known: HashSet<ExecutionId>,
    busy: HashMap<AccountId, usize>,
    /// Accounts whose key has no request left before this time. All that they wait for waits
    /// together: the place is for whatever is most urgent then.
    no_room: HashMap<AccountId, Duration>,
    seats: Vec<Seat>,
    recovery: recover::Recovery,
    /// When it was last judged how urgent each is that waits.
    assessed_at: Duration,
    progress: Marker,
    draining: bool,
}

impl Intake {
    /// An intake with nothing to do.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            progress: shared.progress.part("intake", shared.tuning.progress),
            shared,
            waiting: vec![],
            parked: vec![],
            known: HashSet::new(),
            busy: HashMap::new(),
            no_room: HashMap::new(),
            seats: vec![],
            recovery: recover::Recovery::default(),
            assessed_at: Duration::ZERO,
            draining: false,
        }
    }

    fn submit(&mut self, work: Work) {
        if self.known.insert(work.id) {
            self.waiting.push(work);
        }
    }

    /// Hands out what waits: the most endangered of an idle account first.
    fn dispatch(&mut self, context: &mut Context<Self>) {
        self.hand_out(context);
        let pool = &self.shared.events.metrics().pool;
        pool.waiting.set(self.waiting.len());
        pool.parked.set(self.parked.len());
        pool.busy.set(self.busy.len());
        pool.seats.set(self.seats.len());
    }

    fn hand_out(&mut self, context: &mut Context<Self>) {
        let in_doubt = self.in_doubt();
        let now = self.shared.clock.mono();
        self.no_room.retain(|_, until| *until > now);
        self.assess(now);
        while !self.draining {
            let next = self
                .waiting
                .iter()
                .enumerate()
                .filter(|(_, work)| !self.busy.contains_key(&work.account.tag.id))
                .filter(|(_, work)| !self.no_room.contains_key(&work.account.tag.id))
                .filter(|(_, work)| !work.must_not_disturb(&in_doubt))
                // Of equals the one that has waited longest: the first.
                .max_by(|(i, a), (j, b)| a.danger.cmp(&b.danger).then(j.cmp(i)))
                .map(|(index, _)| index);
            let Some(index) = next else { return };
            let Some(seat) = self.free_seat(context) else {
                return;
            };
            let mut work = self.waiting.remove(index);
            // Restarted, or let go and taken up again, an account is another one by now.
            work.account = self.shared.present(&work.account);
            self.busy.insert(work.account.tag.id.clone(), seat);
            let taken = &mut self.seats[seat];
            taken.work = Some(work.clone());
            taken.since = self.shared.clock.mono();
            if let Some(child) = &taken.child {
                child.addr().do_send(Run(work));
            }
        }
    }

    /// What waits may have come nearer to liquidation than what was nearer when it began to wait.
    fn assess(&mut self, now: Duration) {
        if now < self.assessed_at + ORDER_AGE {
            return;
        }
        self.assessed_at = now;
        for work in &mut self.waiting {
            work.account = self.shared.present(&work.account);
            work.reassess(now);
        }
    }

    /// Positions of which it is not known what became of a request.
    fn in_doubt(&self) -> HashSet<PositionId> {
        let parked = self.parked.iter().map(|(_, work)| work);
        parked
            .chain(&self.waiting)
            .filter(|work| work.is_in_doubt())
            .map(|work| work.position)
            .collect()
    }

    /// Ends executors that make no progress. Their work is looked up and goes on.
    fn beat(&mut self, context: &mut Context<Self>) {
        self.progress.mark();
        let overdue = self
            .shared
            .clock
            .mono()
            .saturating_sub(self.shared.tuning.execution_stuck);
        for (index, seat) in self.seats.iter().enumerate() {
            if let (Some(child), Some(work)) = (&seat.child, &seat.work)
                && seat.since < overdue
            {
                tracing::error!(event = "actor.stuck", actor = format!("executor/{index}"), execution = %work.id);
                child.end();
            }
        }
        self.show_accounts();
        context.run_later(BEAT, Self::beat);
    }

    /// How many executions each account has under way, for whoever looks.
    fn show_accounts(&self) {
        let mut by_account: HashMap<AccountId, usize> = HashMap::new();
        let parked = self.parked.iter().map(|(_, work)| work);
        let at_work = self.seats.iter().filter_map(|seat| seat.work.as_ref());
        for work in self.waiting.iter().chain(parked).chain(at_work) {
            *by_account.entry(work.account.tag.id.clone()).or_default() += 1;
        }
        let shown = &self.shared.events.metrics().pool.by_account;
        if !(by_account.is_empty() && shown.load().is_empty()) {
            shown.store(Arc::new(by_account));
        }
    }

    fn free_seat(&mut self, context: &mut Context<Self>) -> Option<usize> {
        let free = |seat: &Seat| seat.child.is_some() && seat.work.is_none();
        if let Some(seat) = self.seats.iter().position(free) {
            return Some(seat);
        }
        if self.seats.len() >= self.shared.tuning.live_executions {
            return None;
        }
        self.seats.push(Seat {
            ward: Ward::new(Tenure::Essential),
            child: None,
            work: None,
            since: Duration::ZERO,
        });
        let seat = self.seats.len() - 1;
        self.start_executor(seat, context);
        Some(seat)
    }

    fn start_executor(&mut self, seat: usize, context: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        let intake = context.address().recipient();
        let ward = &mut self.seats[seat].ward;
        let generation = ward.starts(self.shared.clock.mono());
        let restarts = ward.restarts();
        self.seats[seat].child = Some(start(
            &self.shared.trading,
            seat.to_string(),
            generation,
            // An execution under way is not torn off by the death of its intake.
            OwnerGone::Finish,
            parent(context),
            move |_| Executor::new(shared, intake, seat, generation),
        ));
        if restarts > 0 {
            let actor = format!("executor/{seat}");
            self.shared
                .events
                .emit(Event::ActorRestarted { actor, restarts });
        }
    }

    fn settle(&mut self, work: Work, verdict: Verdict, context: &mut Context<Self>) {
        self.busy.remove(&work.account.tag.id);
        match verdict {
            Verdict::Ended(ended) => {
                self.known.remove(&work.id);
                self.shared.job_desk.tell(JobMoved::Ended(work.id));
                let automation = work.automation;
                work.account.connection.tell(ExecutionEnded {
                    automation,
                    ended,
                    instead: None,
                });
            }
            Verdict::Instead { ended, work: other } => {
                self.known.remove(&work.id);
                let moved = JobMoved::Instead(work.id, other.id);
                self.shared.job_desk.tell(moved);
                work.account.connection.tell(ExecutionEnded {
                    automation: work.automation,
                    ended,
                    instead: Some(other.id),
                });
                self.submit(*other);
            }
            Verdict::Again { work, at } => {
                // No place of a job is held meanwhile.
                self.shared.job_desk.tell(JobMoved::Parked(work.id));
                self.park(*work, at, context);
            }
            Verdict::NoRoom { work, until } => {
                self.shared.job_desk.tell(JobMoved::Parked(work.id));
                self.no_room.insert(work.account.tag.id.clone(), until);
                self.waiting.push(*work);
                let pause = until.saturating_sub(self.shared.clock.mono());
                context.run_later(pause, Self::dispatch);
            }
        }
        self.dispatch(context);
    }

    fn park(&mut self, work: Work, at: Duration, context: &mut Context<Self>) {
        let pause = at.saturating_sub(self.shared.clock.mono());
        self.parked.push((at, work));
        context.run_later(pause, Self::unpark);
    }

    fn unpark(&mut self, context: &mut Context<Self>) {
        let now = self.shared.clock.mono();
        let (due, parked) = std::mem::take(&mut self.parked)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.parked = parked;
        let due: Vec<(Duration, Work)> = due;
        self.waiting.extend(due.into_iter().map(|(_, work)| work));
        self.dispatch(context);
    }
}

impl Actor for Intake {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("intake.started", "");
        self.recover(context);
        self.beat(context);
    }
}

impl Handler<Submit> for Intake {
    type Result = ();

    fn handle(&mut self, Submit(work): Submit, context: &mut Context<Self>) {
        self.submit(work);
        self.dispatch(context);
    }
}

impl Handler<Finished> for Intake {
    type Result = ();

    fn handle(&mut self, finished: Finished, context: &mut Context<Self>) {
        let Some(seat) = self.seats.get_mut(finished.seat) else {
            return;
        };
        if seat.ward.generation() != finished.generation {
            return;
        }
        if let Some(work) = seat.work.take() {
            self.settle(work, finished.verdict, context);
        }
    }
}

impl Handler<Drain> for Intake {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {
        self.draining = true;
    }
}

crate::crashable!(Intake);
