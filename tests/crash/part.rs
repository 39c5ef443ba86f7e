//! The parts of a storm: every act on an account of its own, live or by a job, under a fault of the
//! exchange; and what must have come of each in the end.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use vigia::domain::execution::State;
use vigia::domain::ids::AutomationId;
use vigia::journal::Execution;
use vigia::queue::{Entry, JobState};
use vigia::simulator::{Fault, LedgerEntry, LedgerKind};

use crate::act::{Act, OPEN};
use crate::asked::has_ended;
use crate::books::Books;
use crate::point::Route;
use crate::stage::Stage;

/// One act's account.
pub struct Part {
    act: Act,
    pub route: Route,
    pub name: String,
    pub automation: AutomationId,
    pub job: Option<String>,
    account: String,
}

fn fault(random: &mut SmallRng) -> Option<(Fault, u32)> {
    Some(match random.gen_range(0..12) {
        0 | 1 => (Fault::LoseReply, random.gen_range(1..=2)),
        2 => (Fault::DropRequest, 1),
        3 | 4 => (Fault::status(503), 2),
        5 => (Fault::status(500), 1),
        6 => (Fault::Hang { apply: true }, 1),
        7 => (Fault::Hang { apply: false }, 1),
        8 => (Fault::DelayReply { ms: 400 }, 1),
        _ => return None,
    })
}

/// Sets the parts: accounts, rules, faults.
pub async fn cast(stage: &Stage, random: &mut SmallRng) -> Vec<Part> {
    let mut parts = vec![];
    // One at least acts by itself: by it one sees that the price was heard of.
    let watching = *Act::ALL.choose(random).unwrap();
    for act in Act::ALL {
        let name = format!("{act:?}").to_lowercase();
        let owner = act.owner(stage, &name).await;
        let route = match random.gen_bool(0.5) || act == watching {
            true => Route::Live,
            false => Route::Job,
        };
        let live = route == Route::Live;
        let automation = stage.automate(&owner, act.kind(), act.config(), live).await;
        let (method, path) = act.request();
        let paths = if act == Act::Reduce {
            &[path, OPEN][..]
        } else {
            &[path][..]
        };
        for path in paths {
            if let Some((fault, times)) = fault(random) {
                let fault = fault.on_route(path).on_method(method);
                let fault = fault.on_key(&format!("key-{name}")).times(times);
                stage.control.inject(fault).unwrap();
            }
        }
        parts.push(Part {
            act,
            route,
            name,
            automation,
            job: None,
            account: String::new(),
        });
    }
    let store = stage.store().await;
    for part in &mut parts {
        part.account = store.account(&part.name).await.unwrap().id.to_string();
    }
    store.close().await;
    parts
}

impl Part {
    fn effects<'a>(&self, effects: &'a [LedgerEntry]) -> Vec<&'a LedgerEntry> {
        let key = format!("key-{}", self.name);
        effects.iter().filter(|entry| entry.key == key).collect()
    }

    fn rows<'a>(&self, books: &'a Books) -> Vec<&'a Execution> {
        let ours = |row: &&Execution| row.account.to_string() == self.account;
        books.executions.iter().filter(ours).collect()
    }

    /// Whether nothing more is to come of it by itself.
    pub fn has_ended(&self, books: &Books, jobs: &[Entry]) -> bool {
        match &self.job {
            Some(id) => jobs.iter().any(|job| job.id == *id && has_ended(job)),
            None => self.rows(books).last().is_some_and(|row| {
                let once = self.act.is_entry();
                row.state == State::Done
                    || row.reason.as_deref() == Some("closed_not_reopened")
                    || (once && row.state == State::Failed)
            }),
        }
    }

    /// An entry that was proven not to have been made: it waits for the next crossing.
    pub fn waits_for_a_crossing(&self, books: &Books) -> bool {
        let failed = |row: &&Execution| row.state == State::Failed;
        self.act.is_entry()
            && self.route == Route::Live
            && self.rows(books).last().is_some_and(failed)
    }

    pub fn judge(&self, books: &Books, effects: &[LedgerEntry], jobs: &[Entry]) {
        let applied: Vec<_> = self.effects(effects).iter().map(|one| one.kind).collect();
        let rows = self.rows(books);
        let told = || format!("{}: {rows:#?} {applied:?} {jobs:#?}", self.name);
        let half = rows
            .iter()
            .any(|row| row.reason.as_deref() == Some("closed_not_reopened"));
        let expected = if half {
            &[LedgerKind::Closed][..]
        } else {
            self.act.effects()
        };
        assert_eq!(applied, expected, "{}", told());
        let done = rows.iter().filter(|row| row.state == State::Done).count();
        assert_eq!(done, usize::from(!half), "{}", told());
        if let Some(id) = &self.job {
            let job = jobs.iter().find(|job| job.id == *id).unwrap();
            let wanted = if half {
                JobState::Failed
            } else {
                JobState::Completed
            };
            assert_eq!(job.state, wanted, "{}", told());
            let status = job.return_value.as_ref().map(|value| &value["status"]);
            assert!(half || status == Some(&"completed".into()), "{}", told());
        }
    }
}

/// Books and jobs, of one reading of the store.
pub async fn look(stage: &Stage, parts: &[Part]) -> (Books, Vec<Entry>) {
    let store = stage.store().await;
    let books = Books::read(&store).await;
    let mut jobs = vec![];
    for id in parts.iter().filter_map(|part| part.job.as_deref()) {
        jobs.push(stage.job(&store, id).await);
    }
    store.close().await;
    (books, jobs)
}
