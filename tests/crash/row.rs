//! One row of the table: an act, where it comes from, where it is killed, and whether the reply to its
//! request is lost. What must stand after the restart is known beforehand.

use std::time::Duration;

use vigia::domain::execution::State;
use vigia::domain::ids::AutomationId;
use vigia::queue::{Entry, JobState};
use vigia::simulator::{Fault, Injection, LedgerKind};

use crate::act::{Act, DANGER, OPEN};
use crate::asked::{QUEUE, has_ended};
use crate::books::Books;
use crate::point::{Point, Route};
use crate::stage::{START, Stage, Windows, wanted_server};
use crate::watchman::{SOON, Watchman};

/// Within which everything has ended after the restart, on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(100);
/// Longer than a watchman lives that waits for this reply.
const LATE_MS: u64 = 60_000;

#[derive(Clone, Debug)]
pub struct Row {
    pub act: Act,
    pub point: Point,
    pub route: Route,
    /// Whether replies are lost, of each request the first.
    pub lost: bool,
    /// More of the configuration: where the queue is.
    pub queue: String,
}

/// What must stand in the end.
#[derive(Debug, PartialEq)]
struct End {
    states: Vec<State>,
    reasons: Vec<&'static str>,
    effects: Vec<LedgerKind>,
}

impl Row {
    pub fn label(&self) -> String {
        let reply = if self.lost { "lost" } else { "delivered" };
        format!(
            "{:?} by {:?}, killed at {:?}, reply {reply}",
            self.act, self.route, self.point
        )
    }

    /// Whether it is only known after a while that the first request was not applied.
    fn is_decided_afresh(&self) -> bool {
        self.point.is_unapplied() && !self.act.is_idempotent()
    }

    fn end(&self) -> End {
        let done = |states: &[State], reasons: &[&'static str]| End {
            states: states.to_vec(),
            reasons: reasons.to_vec(),
            effects: self.act.effects().to_vec(),
        };
        match (self.act, self.route) {
            // Never opened later by itself.
            (Act::Reduce, _) if self.point.is_unapplied_second() => End {
                states: vec![State::Failed],
                reasons: vec!["closed_not_reopened"],
                effects: vec![LedgerKind::Closed],
            },
            (Act::Fallback, _) => done(&[State::Failed, State::Done], &["no_balance"]),
            // A trigger's next episode; a job's next attempt takes the same row up.
            (_, Route::Live) if self.is_decided_afresh() => {
                done(&[State::Failed, State::Done], &["not_applied"])
            }
            _ => done(&[State::Done], &[]),
        }
    }

    /// The attempts of its job: a restart costs none.
    fn attempts(&self) -> u32 {
        if self.is_decided_afresh() { 2 } else { 1 }
    }

    /// Plays it: sets the stage, kills, starts again, and holds the books against each other.
    pub async fn play(&self) {
        let windows = Windows::default();
        let more = format!("{QUEUE}{}", self.queue);
        let stage = Stage::configured(wanted_server(), windows, &more).await;
        let owner = self.act.owner(&stage, "alice").await;
        let live = self.route == Route::Live;
        let rule = stage.automate(&owner, self.act.kind(), self.act.config(), live);
        let rule = rule.await;
        for fault in self.faults() {
            stage.control.inject(fault).unwrap();
        }
        let job = self.killed(&stage, &rule).await;

        let watchman = stage.start();
        if self.is_decided_afresh() && self.act.is_entry() && live {
            self.crosses_again(&stage, &watchman).await;
        }
        let (books, job) = self.ended(&stage, &watchman, job.as_deref()).await;
        self.judge(&stage, &books, job.as_ref());
        stage.agree_after_stop(watchman).await;
    }

    fn faults(&self) -> Vec<Injection> {
        let (method, path) = self.act.request();
        let first = |fault: Fault| fault.on_route(path).on_method(method).times(1);
        let second = |fault: Fault| fault.on_route(OPEN).on_method("POST").times(1);
        let late = || Fault::DelayReply { ms: LATE_MS };
        let never = |apply| Fault::Hang { apply };
        match (self.point, self.lost) {
            (Point::Unheard, _) => vec![first(never(false))],
            (Point::Unanswered, false) => vec![first(late())],
            (Point::Unanswered, true) => vec![first(never(true))],
            // The first reply is late by nothing: of two that fit, the first fault is taken.
            (Point::SecondUnanswered, false) => {
                vec![first(Fault::DelayReply { ms: 0 }), second(late())]
            }
            (Point::SecondUnanswered, true) => {
                vec![first(Fault::LoseReply), second(never(true))]
            }
            (_, false) => vec![],
            (_, true) if self.act == Act::Reduce => {
                vec![first(Fault::LoseReply), second(Fault::LoseReply)]
            }
            (_, true) => vec![first(Fault::LoseReply)],
        }
    }

    /// Brings a watchman to the point, where it dies. The job, where there is one.
    async fn killed(&self, stage: &Stage, rule: &AutomationId) -> Option<String> {
        let mut doomed = match self.point.place() {
            Some((place, pass)) => stage.start_to_die_at_pass(place, pass),
            None => stage.start(),
        };
        let job = match self.route {
            Route::Live => {
                doomed.until_armed(1).await;
                stage.control.set_price(DANGER).unwrap();
                None
            }
            Route::Job => {
                stage.control.set_price(DANGER).unwrap();
                doomed.until_armed(0).await;
                Some(stage.ask(rule, self.attempts()).await)
            }
        };
        match self.point {
            Point::Unheard => {
                stage.request_arrived().await;
                doomed.kill().await;
            }
            Point::Unanswered | Point::SecondUnanswered => {
                let count = 1 + usize::from(self.point == Point::SecondUnanswered);
                stage
                    .until("the effect", SOON, |_| stage.effects().len() == count)
                    .await;
                doomed.kill().await;
            }
            _ => doomed.died().await,
        }
        job
    }

    /// An entry fires once a crossing: the price leaves its trigger and comes back.
    async fn crosses_again(&self, stage: &Stage, watchman: &Watchman) {
        watchman.until("execution.failed").await;
        stage.control.set_price(START).unwrap();
        watchman.until_armed(1).await;
        stage.control.set_price(DANGER).unwrap();
    }

    /// Waits until the journal says what is expected, and the queue that the job has ended.
    async fn ended(
        &self,
        stage: &Stage,
        watchman: &Watchman,
        job: Option<&str>,
    ) -> (Books, Option<Entry>) {
        let deadline = stage.clock.mono() + SETTLED_WITHIN;
        let states = self.end().states;
        loop {
            let store = stage.store().await;
            let books = Books::read(&store).await;
            let job = match job {
                Some(id) => Some(stage.job(&store, id).await),
                None => None,
            };
            store.close().await;
            if books.states() == states && job.as_ref().is_none_or(has_ended) {
                return (books, job);
            }
            assert!(
                stage.clock.mono() < deadline,
                "expected {states:?}, stands: {:#?}\njob: {job:#?}\nledger: {:#?}\nlog:\n{}",
                books.executions,
                stage.effects(),
                watchman.told()
            );
            tokio::time::sleep(BEAT).await;
        }
    }

    fn judge(&self, stage: &Stage, books: &Books, job: Option<&Entry>) {
        let end = self.end();
        let effects = stage.effects();
        let kinds: Vec<_> = effects.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, end.effects, "{effects:#?}");
        let mut reasons = books.reasons();
        // Where the balance was not read yet, the exchange is asked and says so.
        if self.act == Act::Fallback && reasons[0].contains("insufficient balance") {
            reasons[0] = end.reasons[0];
        }
        assert_eq!(reasons, end.reasons);
        let Some(job) = job else { return };
        if end.states.contains(&State::Done) {
            assert_eq!(job.state, JobState::Completed, "{job:#?}");
            let value = job.return_value.as_ref().unwrap();
            assert_eq!(value["status"], "completed", "{value:#}");
            let done = books.done().next().unwrap().id.to_string();
            let told = |told: &&serde_json::Value| {
                told["status"] == "completed" && told["executionId"] == done.as_str()
            };
            let executions = value["executions"].as_array().unwrap();
            assert_eq!(executions.iter().filter(told).count(), 1, "{value:#}");
        } else {
            assert_eq!(job.state, JobState::Failed, "{job:#?}");
            let reason = job.failed_reason.as_deref().unwrap();
            assert!(reason.contains(end.reasons[0]), "{reason}");
        }
    }
}
