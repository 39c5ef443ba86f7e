//! A job that was taken: checked, and given its place.

use std::collections::HashSet;
use std::sync::Arc;

use actix::prelude::*;

use super::check::{self, Checked};
use super::{FromQueue, Held, JobDesk, report};
use crate::domain::jobs::Verdict;
use crate::queue::{Outcome, Taken};
use crate::supervision::failpoint;

impl Handler<FromQueue> for JobDesk {
    type Result = ();

    fn handle(&mut self, FromQueue(taken): FromQueue, context: &mut Context<Self>) {
        if self.closing {
            return taken.settle(Outcome::Released);
        }
        let shared = Arc::clone(&self.shared);
        let checking = async move {
            let checked = check::check(&shared, &taken.job).await;
            (taken, checked)
        };
        let checked = |(taken, checked), desk: &mut Self, context: &mut Context<Self>| {
            desk.checked(taken, checked, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(checking).map(checked));
    }
}

impl JobDesk {
    fn checked(
        &mut self,
        taken: Taken,
        checked: Result<Checked, Outcome>,
        context: &mut Context<Self>,
    ) {
        let checked = match checked {
            Ok(_) if self.closing => return taken.settle(Outcome::Released),
            Ok(checked) => Arc::new(checked),
            Err(outcome) => {
                report::tell_refused(&taken.job.key, &outcome);
                return taken.settle(outcome);
            }
        };
        failpoint::pass("job.taken", &checked.key.id);
        let now = self.shared.clock.utc();
        match self.desk.admit(checked.request(), now) {
            Verdict::Waits => self.hold(taken, checked),
            Verdict::Displaces { key, delay } => {
                if let Some(held) = self.held.remove(&key) {
                    held.taken.settle(Outcome::Later(delay));
                }
                self.hold(taken, checked);
            }
            Verdict::SetAside { delay } => taken.settle(Outcome::Later(delay)),
            Verdict::Coalesced { with } => {
                let outcome = report::coalesced(&self.shared, &checked, &with);
                report::tell(&self.shared, &checked, &outcome);
                taken.settle(outcome);
            }
            Verdict::Expired { age } => {
                let outcome = report::expired(age, self.shared.tuning.desk.max_age);
                report::tell(&self.shared, &checked, &outcome);
                taken.settle(outcome);
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
