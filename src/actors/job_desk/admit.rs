//! A job that was taken: checked, and given its place.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::check::{self, Checked};
use super::{FromQueue, Held, JobDesk, report};
use crate::domain::jobs::Verdict;
use crate::queue::{Outcome, Payload, Taken};
use crate::supervision::failpoint;

/// So many automations are remembered with their accounts.
const MOST_KNOWN: usize = 10_000;

impl Handler<FromQueue> for JobDesk {
    type Result = ();

    fn handle(&mut self, FromQueue(taken): FromQueue, context: &mut Context<Self>) {
        self.shared.events.metrics().jobs.taken.one();
        if self.closing {
            return self.give(taken, Outcome::Released);
        }
        if let Some(delay) = self.without_a_look(&taken) {
            return self.give(taken, Outcome::Later(delay));
        }
        let number = self.arrivals.expect();
        let shared = Arc::clone(&self.shared);
        let checking = async move {
            let checked = check::check(&shared, &taken.job).await;
            (taken, checked)
        };
        let checked = move |arrival, desk: &mut Self, context: &mut Context<Self>| {
            desk.arrivals.arrived(number, arrival);
            while let Some((taken, checked)) = desk.arrivals.next() {
                desk.checked(taken, checked, context);
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(checking).map(checked));
    }
}

/// A job and what its check came to.
type Arrival = (Taken, Result<Checked, Outcome>);

/// Jobs that are being checked. However long each takes, they are admitted in the order in which the
/// queue handed them out.
#[derive(Default)]
pub(super) struct Arrivals {
    /// The number of the first.
    first: u64,
    jobs: VecDeque<Option<Arrival>>,
}

impl Arrivals {
    /// A place for a job whose check begins.
    fn expect(&mut self) -> u64 {
        self.jobs.push_back(None);
        self.first + self.jobs.len() as u64 - 1
    }

    fn arrived(&mut self, number: u64, arrival: Arrival) {
        let place = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        if let Some(job) = self.jobs.get_mut(place) {
            *job = Some(arrival);
        }
    }

    /// The next whose turn it is, if its check has ended.
    fn next(&mut self) -> Option<Arrival> {
        self.jobs.front()?.as_ref()?;
        self.first += 1;
        self.jobs.pop_front().flatten()
    }
}

impl JobDesk {
    /// A job of an account that has enough waiting here is set aside without asking the store for its
    /// automation: a flood of one account must not make all others wait. It is checked when it comes
    /// again. Returns for how long.
    fn without_a_look(&mut self, taken: &Taken) -> Option<Duration> {
        let job = &taken.job;
        let payload = Payload::parse(&job.data).ok()?;
        let (account, danger) = self.known.get(&payload.automation)?.clone();
        let when = (job.due_at, job.attempts_made);
        let request = check::request(&job.key, &payload, when, account, danger);
        self.desk.set_aside(&request, self.shared.clock.utc())
    }

    fn checked(
        &mut self,
        taken: Taken,
        checked: Result<Checked, Outcome>,
        context: &mut Context<Self>,
    ) {
        let checked = match checked {
            Ok(_) if self.closing => return self.give(taken, Outcome::Released),
            Ok(checked) => Arc::new(checked),
            Err(outcome) => {
                report::tell_refused(&taken.job.key, &outcome);
                return self.give(taken, outcome);
            }
        };
        failpoint::pass("job.taken", &checked.key.id);
        let (now, request) = (self.shared.clock.utc(), checked.request());
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(
            request.automation.clone(),
            (request.account.clone(), request.danger),
        );
        match self.desk.admit(request, now) {
            Verdict::Waits => self.hold(taken, checked),
            Verdict::Displaces { key, delay } => {
                if let Some(held) = self.held.remove(&key) {
                    self.give(held.taken, Outcome::Later(delay));
                }
                self.hold(taken, checked);
            }
            Verdict::SetAside { delay } => self.give(taken, Outcome::Later(delay)),
            Verdict::Coalesced { with } => {
                let outcome = report::coalesced(&self.shared, &checked, &with);
                report::tell(&self.shared, &checked, &outcome);
                self.give(taken, outcome);
            }
            Verdict::Expired { age } => {
                let outcome = report::expired(age, self.shared.tuning.desk.max_age);
                report::tell(&self.shared, &checked, &outcome);
                self.give(taken, outcome);
            }
            // Its lease was lost meanwhile: what becomes of it is told under the new one.
            Verdict::InHand => {
                if let Some(held) = self.held.get_mut(&checked.key) {
                    held.taken = taken;
                }
            }
        }
        self.begin(context);
    }

    fn hold(&mut self, taken: Taken, checked: Arc<Checked>) {
        let held = Held {
            taken,
            plan: None,
            waits_for: HashSet::new(),
            checked: Arc::clone(&checked),
        };
        self.held.insert(checked.key.clone(), held);
    }
}
