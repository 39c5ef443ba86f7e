//! Figures of the running service, kept where they arise and read whenever somebody asks.
//!
//! What has an event is counted by the event, as it is emitted; what has none (hops, the pool of
//! executors, jobs) is written down by its actor, without a lock. Rates, sockets and the store count
//! for themselves, in their own rooms.

mod hops;
mod lives;
mod tally;

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::Event;
use crate::domain::execution::{Action, State};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId};
use crate::meter::{Counter, Gauge};

pub use hops::Hops;
pub use lives::{KINDS, Life, Lives, Standing, kind_of};
pub use tally::Tally;

/// Figures of the running service.
#[derive(Debug)]
#[allow(missing_docs)] // the names are those of docs/metrics.md
pub struct Metrics {
    pub hops: Hops,
    pub pool: Pool,
    pub jobs: Jobs,
    pub lives: Lives,
    /// By action and outcome.
    pub executions: Tally<2>,
    /// By reason.
    pub skipped: Tally<1>,
    /// By what it is about.
    pub alarms: Tally<1>,
    /// By the transport that takes over, and the cause.
    pub switches: Tally<2>,
    /// By cause.
    pub sockets_lost: Tally<1>,
    /// By field.
    pub drift: Tally<1>,
    pub armed: Counter,
    pub triggered: Counter,
    pub deferred: Counter,
    pub readings_failed: Counter,
    pub tickers_failed: Counter,
    pub undecodable: Counter,
    pub silenced: Counter,
    last: Mutex<HashMap<AccountId, LastExecution>>,
}

/// The pool of executors and what waits for it; written by the intake.
#[derive(Debug, Default)]
pub struct Pool {
    /// Executions that wait for an executor, or for their account.
    pub waiting: Gauge,
    /// Executions that wait for a proof or their next try.
    pub parked: Gauge,
    /// Executors that have one in hand.
    pub busy: Gauge,
    /// Executors that were started.
    pub seats: Gauge,
    /// Executions of each account that have not ended, where there are any; up to a second old.
    pub by_account: ArcSwap<HashMap<AccountId, usize>>,
}

/// Jobs, as the desk sees them.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Handed out by the queue.
    pub taken: Counter,
    /// Carried out, or found to need nothing.
    pub completed: Counter,
    /// Attempts that failed.
    pub attempts_failed: Counter,
    /// Failed for good.
    pub failed: Counter,
    /// Set aside or handed back, at no cost.
    pub returned: Counter,
}

/// How the latest execution of an account ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LastExecution {
    /// The execution.
    pub execution: ExecutionId,
    /// Its automation.
    pub automation: AutomationId,
    /// Its position.
    pub position: PositionId,
    /// What it did, or was to do.
    pub action: &'static str,
    /// How it ended.
    pub state: State,
    /// Why, where it did not do it.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// How executions end.
const OUTCOMES: [State; 4] = [State::Done, State::Failed, State::Uncertain, State::Skipped];

impl Default for Metrics {
    /// Nothing was counted yet. What is known to come stands at 0 from the start, so that its first
    /// time is seen as a change.
    fn default() -> Self {
        let outcomes = Action::NAMES
            .into_iter()
            .flat_map(|action| OUTCOMES.map(|state| [action, state.as_str()]));
        Self {
            hops: Hops::default(),
            pool: Pool::default(),
            jobs: Jobs::default(),
            lives: Lives::default(),
            executions: Tally::of(outcomes),
            skipped: Tally::default(),
            alarms: Tally::of(ALARMS.map(|what| [what])),
            switches: Tally::default(),
            sockets_lost: Tally::default(),
            drift: Tally::default(),
            armed: Counter::default(),
            triggered: Counter::default(),
            deferred: Counter::default(),
            readings_failed: Counter::default(),
            tickers_failed: Counter::default(),
            undecodable: Counter::default(),
            silenced: Counter::default(),
            last: Mutex::default(),
        }
    }
}

/// Alarms that a rule of `config/prometheus/alerts.yml` waits for.
const ALARMS: [&str; 4] = [
    "no_balance",
    "leverage_limit",
    "store_failed",
    "executor_died",
];

impl Metrics {
    /// Counts an event.
    pub(super) fn count(&self, event: &Event, now: DateTime<Utc>) {
        match event {
            Event::ActorStarted { actor, .. } | Event::ActorStopped { actor } => {
                self.lives.forget(actor);
            }
            Event::ActorDied { actor, cause } => self.lives.died(actor, cause, now),
            Event::ActorRestarting { .. } => {}
            Event::ActorRestarted { actor, restarts } => self.lives.restarted(actor, *restarts),
            Event::ActorQuarantined { actor, .. } => self.lives.quarantined(actor),
            Event::ConnectionState { .. } | Event::Completed { .. } => {}
            Event::AccountRestarting { .. }
            | Event::AccountRestarted { .. }
            | Event::AccountRestartRefused { .. } => {}
            Event::TransportSwitched { to, cause, .. } => self.switches.one([to.as_str(), cause]),
            Event::SocketLost { cause, .. } => self.sockets_lost.one([cause]),
            Event::BookDrift { field, .. } => self.drift.one([field]),
            Event::ReadingFailed { count, .. } => self.readings_failed.add(*count),
            Event::TradeUnreadable { .. } | Event::Sending { .. } => {}
            Event::TickerFailed { count, .. } => self.tickers_failed.add(*count),
            Event::FrameUndecodable { count, .. } => self.undecodable.add(*count),
            Event::RateSilenced { .. } => self.silenced.one(),
            Event::Armed { .. } => self.armed.one(),
            Event::Triggered { .. } => self.triggered.one(),
            Event::Deferred { .. } => self.deferred.one(),
            Event::Alarm { what, .. } => self.alarms.one([what]),
            Event::LimitReached { .. } | Event::AccountPaused { .. } => {
                self.alarms.one([event.name()]);
            }
            Event::Done { .. }
            | Event::Failed { .. }
            | Event::Uncertain { .. }
            | Event::Skipped { .. } => self.ended(event, now),
        }
    }

    fn ended(&self, event: &Event, now: DateTime<Utc>) {
        let (account, execution, automation, position, action, state, reason) = match event {
            Event::Done {
                account,
                execution,
                automation,
                position,
                action,
                ..
            } => {
                let action = action.as_str();
                (
                    account,
                    execution,
                    automation,
                    position,
                    action,
                    State::Done,
                    None,
                )
            }
            Event::Failed {
                account,
                execution,
                automation,
                position,
                action,
                reason,
            } => {
                let reason = Some(reason.clone());
                (
                    account,
                    execution,
                    automation,
                    position,
                    *action,
                    State::Failed,
                    reason,
                )
            }
            Event::Uncertain {
                account,
                execution,
                automation,
                position,
                action,
                ..
            } => (
                account,
                execution,
                automation,
                position,
                *action,
                State::Uncertain,
                None,
            ),
            Event::Skipped {
                account,
                execution,
                automation,
                position,
                action,
                reason,
            } => {
                self.skipped.one([reason.as_str()]);
                let reason = Some(reason.as_str().to_owned());
                (
                    account,
                    execution,
                    automation,
                    position,
                    *action,
                    State::Skipped,
                    reason,
                )
            }
            _ => return,
        };
        self.executions.one([action, state.as_str()]);
        let last = LastExecution {
            execution: *execution,
            automation: automation.clone(),
            position: *position,
            action,
            state,
            reason,
            at: now,
        };
        let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(account.id.clone(), last);
    }

    /// How the latest execution of an account ended, since the start.
    pub fn last_execution(&self, account: &AccountId) -> Option<LastExecution> {
        let all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(account).cloned()
    }
}
