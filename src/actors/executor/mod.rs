//! `Executor`: carries out one execution at a time, as far as it can be carried without waiting.
//!
//! - Owner: `Intake`, which owns `execution.live` of them. Essential.
//! - Owns: the execution in hand, marked in `InHand`.
//! - In: `Run`. Out: `Finished` to its intake, `Learned` to the account's connection, `RecordDone`
//!   to the audit log.
//! - Bound: one execution; every request has a deadline; waits are given back to the intake.
//! - Death: the journal says how far it came; the intake has it looked up and goes on from there.
//! - Stop: it finishes what it has in hand.

mod again;
mod command;
mod fallback;
mod keeping;
mod prove;
mod record;
mod refused;
mod reopen;
mod send;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::shared::Shared;
use super::work::{Step, Work, ended_row};
use crate::domain::arming::Ended;
use crate::domain::execution::{Action, SkipReason, State};
use crate::journal::JournalError;
use crate::supervision::failpoint;

/// How soon an execution is tried again that somebody else still has in hand, whose account has
/// not been read yet, or whose write to the store failed.
const SOON: Duration = Duration::from_millis(250);

/// Carries an execution out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Run(pub Work);

/// What came of it.
pub enum Verdict {
    /// It has ended.
    Ended(Ended),
    /// It goes on at this time, since the start of the process.
    Again {
        /// The execution as it stands now.
        work: Box<Work>,
        /// When.
        at: Duration,
    },
    /// Its key has no request left before this time; by then others of the account may be more
    /// urgent.
    NoRoom {
        /// The execution as it stands now.
        work: Box<Work>,
        /// When.
        until: Duration,
    },
    /// It has ended, and another is carried out in its place.
    Instead {
        /// How it ended.
        ended: Ended,
        /// The other, which stands in the journal.
        work: Box<Work>,
    },
}

/// Tells the intake what came of an execution.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Finished {
    /// The executor's seat.
    pub seat: usize,
    /// Which start of it.
    pub generation: u64,
    /// What came of it.
    pub verdict: Verdict,
}

/// See the module's documentation.
pub struct Executor {
    shared: Arc<Shared>,
    intake: Recipient<Finished>,
    seat: usize,
    generation: u64,
}

impl Executor {
    /// An executor with nothing in hand.
    pub fn new(
        shared: Arc<Shared>,
        intake: Recipient<Finished>,
        seat: usize,
        generation: u64,
    ) -> Self {
        Self {
            shared,
            intake,
            seat,
            generation,
        }
    }
}

impl Actor for Executor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        failpoint::pass("executor.started", "");
    }
}

impl Handler<Run> for Executor {
    type Result = ();

    fn handle(&mut self, Run(mut work): Run, context: &mut Context<Self>) {
        failpoint::pass("executor.run", &work.account.tag.name);
        let hops = &self.shared.events.metrics().hops;
        work.hop(&hops.picked, self.shared.clock.mono());
        let (shared, intake) = (Arc::clone(&self.shared), self.intake.clone());
        let (seat, generation) = (self.seat, self.generation);
        let carrying = async move {
            let verdict = carry_out(&shared, work).await;
            intake.do_send(Finished {
                seat,
                generation,
                verdict,
            });
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(carrying));
    }
}

/// Takes an execution as far as it can go without waiting.
async fn carry_out(shared: &Shared, mut work: Work) -> Verdict {
    let Some(_mark) = shared.in_hand.take(work.id) else {
        return again_soon(shared, work);
    };
    failpoint::linger("executor.carrying", &work.account.tag.name).await;
    loop {
        let next = match &work.step {
            Step::LookUp => look_up(shared, work).await,
            Step::Send => send::send(shared, work).await,
            Step::Prove { .. } => prove::prove(shared, work).await,
            Step::Record { .. } => record::record(shared, work).await,
            Step::FirstLegDone { then, outcome } => {
                let (then, outcome) = (*then, outcome.clone());
                reopen::first_leg_done(shared, work, then, outcome).await
            }
            Step::Reopen(kept) => {
                let kept = *kept;
                reopen::reopen(shared, work, kept).await
            }
        };
        match next {
            Next::Step(further) => work = *further,
            Next::Verdict(verdict) => return verdict,
        }
    }
}

/// Either the next step, or all that can be done now.
enum Next {
    Step(Box<Work>),
    Verdict(Verdict),
}

impl Next {
    fn step(work: Work, step: Step) -> Self {
        Self::Step(Box::new(Work { step, ..work }))
    }

    fn again(work: Work, at: Duration) -> Self {
        Self::Verdict(Verdict::Again {
            work: Box::new(unmeasured(work)),
            at,
        })
    }

    fn no_room(work: Work, until: Duration) -> Self {
        Self::Verdict(Verdict::NoRoom {
            work: Box::new(unmeasured(work)),
            until,
        })
    }

    fn again_soon(shared: &Shared, work: Work) -> Self {
        Self::Verdict(again_soon(shared, work))
    }

    fn ended(shared: &Shared, work: &Work, state: State, skipped: Option<SkipReason>) -> Self {
        let at = shared.clock.utc();
        Self::Verdict(Verdict::Ended(Ended {
            execution: work.id,
            state,
            skipped,
            at,
        }))
    }
}

fn again_soon(shared: &Shared, work: Work) -> Verdict {
    Verdict::Again {
        work: Box::new(unmeasured(work)),
        at: shared.clock.mono() + SOON,
    }
}

/// What comes by again has waited for something else than its way to the exchange.
fn unmeasured(work: Work) -> Work {
    Work {
        last_hop: None,
        ..work
    }
}

/// Where an execution stands after a restart: what was planned may be sent, what may have been sent
/// must be proven.
async fn look_up(shared: &Shared, mut work: Work) -> Next {
    let row = match shared.journal.execution(work.id).await {
        Ok(row) => row,
        Err(error) => return store_failed(shared, work, &error),
    };
    if let Some(ended) = ended_row(&row) {
        return Next::Verdict(Verdict::Ended(ended));
    }
    let step = match row.state {
        State::Sending => {
            work.interrupted = true;
            Step::prove(row.action, row.before, None)
        }
        // By way of the intake, which knows whether another request to the position is in doubt.
        _ => {
            let step = match row.action {
                Action::Reopen(kept) => Step::Reopen(kept),
                _ => Step::Send,
            };
            return Next::again(Work { step, ..work }, shared.clock.mono());
        }
    };
    Next::step(work, step)
}

/// The journal did not take a word. Nothing is assumed about what it holds now.
fn store_failed(shared: &Shared, work: Work, error: &JournalError) -> Next {
    if let JournalError::TakenOver { .. } = error {
        return Next::ended(shared, &work, State::Skipped, Some(SkipReason::NotOwner));
    }
    let detail = format!("execution {}: {error}", work.id);
    shared.alarm_store_failed(&work.account.tag, detail);
    let step = match (&work.step, error) {
        (
            Step::Record { .. } | Step::Prove { .. } | Step::FirstLegDone { .. },
            JournalError::Store(_),
        ) => work.step.clone(),
        _ => Step::LookUp,
    };
    Next::again_soon(shared, Work { step, ..work })
}

crate::crashable!(Executor);
