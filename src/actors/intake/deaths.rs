//! The deaths of executors: they come back, and what they had in hand is looked up and goes on.

use std::sync::Arc;

use actix::prelude::*;

use super::super::limits;
use super::super::work::{Step, Work};
use super::{Intake, STORE_RETRY};
use crate::domain::restart::Verdict;
use crate::journal::JournalError;
use crate::supervision::ChildExit;
use crate::telemetry::Event;

/// Executors that may die over one execution before it is given up.
const MOST_DEATHS: u32 = 3;

impl Handler<ChildExit> for Intake {
    type Result = ();

    fn handle(&mut self, exit: ChildExit, context: &mut Context<Self>) {
        let (now, roll) = (self.shared.clock.mono(), self.shared.clock.roll());
        let index: Option<usize> = exit.child.parse().ok();
        let Some(index) = index.filter(|seat| *seat < self.seats.len()) else {
            return;
        };
        let seat = &mut self.seats[index];
        let policy = &self.shared.tuning.restart;
        let Some(verdict) = seat.ward.exited(&exit, now, policy, roll) else {
            return;
        };
        seat.child = None;
        let (actor, cause) = (format!("executor/{index}"), exit.exit.to_string());
        self.shared.events.emit(Event::ActorDied {
            actor: actor.clone(),
            cause,
        });
        if let Some(mut work) = seat.work.take() {
            work.deaths += 1;
            work.step = Step::LookUp;
            self.busy.remove(&work.account.tag.id);
            if work.deaths < MOST_DEATHS {
                self.park(work, now + STORE_RETRY, context);
            } else {
                self.give_up(work, context);
            }
        }
        let (Verdict::Restart { delay, .. } | Verdict::Quarantine { retry: delay }) = verdict;
        let attempt = seat_attempt(&verdict);
        let delay_ms = delay.as_millis() as u64;
        self.shared.events.emit(Event::ActorRestarting {
            actor,
            attempt,
            delay_ms,
        });
        context.run_later(delay, move |intake, context| {
            intake.start_executor(index, context);
            intake.dispatch(context);
        });
    }
}

fn seat_attempt(verdict: &Verdict) -> u32 {
    match verdict {
        Verdict::Restart { attempt, .. } => *attempt,
        Verdict::Quarantine { .. } => 0,
    }
}

impl Intake {
    /// An execution that kills its executors is a bug: it is set aside, loudly, so that it harms
    /// nobody else. What it may have done is for a person to look at.
    fn give_up(&mut self, work: Work, context: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        self.known.remove(&work.id);
        let given_up = async move {
            let evidence = serde_json::json!({ "executor_deaths": work.deaths });
            let now = shared.clock.utc();
            let settled = match shared
                .journal
                .uncertain(work.id, evidence.clone(), now)
                .await
            {
                Ok(paused) => Ok(paused),
                // Nothing of it was ever sent. Any other error tells nothing of what was.
                Err(JournalError::WrongState { .. }) => {
                    shared
                        .journal
                        .fail(work.id, "executor_died", evidence, now)
                        .await
                }
                Err(error) => Err(error),
            };
            match settled {
                Ok(paused) => limits::tell_paused(&shared, &work.account.tag, paused),
                Err(error) => {
                    tracing::error!(event = "store.failed", execution = %work.id, %error);
                }
            }
            shared.events.emit(Event::Alarm {
                account: work.account.tag.clone(),
                what: "executor_died",
                detail: format!("execution {} was given up", work.id),
            });
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(given_up));
    }
}
