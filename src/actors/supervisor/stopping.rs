//! Stopping: work first, then those who do it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::intake::Drain;
use super::super::job_desk::CloseDesk;
use super::Supervisor;

/// How often a stopping service looks whether its executions have ended.
const DRAIN_BEAT: Duration = Duration::from_millis(10);

/// So many looks in a row that find nothing in hand mean that all has ended.
const DRAIN_CALM: u32 = 3;

/// Stops taking work and lets running executions end. Answers how many were still in hand when the
/// deadline came.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Stop;

impl Handler<Stop> for Supervisor {
    type Result = ResponseActFuture<Self, usize>;

    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        self.stopping = true;
        // Who asked for a restart is told that the service stops.
        self.successions.clear();
        self.shared.intake.tell(Drain);
        let shared = Arc::clone(&self.shared);
        let draining = async move {
            let deadline = shared.clock.mono() + shared.tuning.stop_deadline;
            // Jobs first: what runs is settled with the queue, what has not begun is handed back.
            // Where the desk is being restarted, their leases run out.
            let closing = shared.job_desk.ask(CloseDesk(shared.tuning.stop_deadline));
            let _ = tokio::time::timeout(shared.tuning.stop_deadline, closing).await;
            // What was given out just before may not be in hand yet.
            let mut calm = 0;
            while calm < DRAIN_CALM && shared.clock.mono() < deadline {
                tokio::time::sleep(DRAIN_BEAT).await;
                calm = if shared.in_hand.is_empty() {
                    calm + 1
                } else {
                    0
                };
            }
            shared.in_hand.len()
        };
        let drained = |left, supervisor: &mut Self, context: &mut Context<Self>| {
            supervisor.connections.clear();
            supervisor.leaving.clear();
            supervisor.feeds.clear();
            supervisor.job_desk = None;
            supervisor.intake = None;
            supervisor.notifier = None;
            supervisor.audit_log = None;
            supervisor.health_reporter = None;
            context.stop();
            left
        };
        Box::pin(actix::fut::wrap_future::<_, Self>(draining).map(drained))
    }
}
