//! The consumer of the queue: owned by the desk, ended with it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::super::shared::Shared;
use super::{CloseDesk, FromQueue, JobDesk};
use crate::queue::Outcome;

/// How soon a consumer whose task has ended is replaced.
const AGAIN: Duration = Duration::from_secs(1);

impl JobDesk {
    /// Takes jobs from now on.
    pub(super) fn serve(&mut self, context: &mut Context<Self>) {
        let (close, closing) = oneshot::channel();
        self.close = Some(close);
        let (shared, desk) = (Arc::clone(&self.shared), context.address());
        let serving = async move { serve(&shared, &desk, closing).await };
        context.spawn(actix::fut::wrap_future::<_, Self>(serving));
    }
}

async fn serve(shared: &Shared, desk: &Addr<JobDesk>, mut closing: oneshot::Receiver<Duration>) {
    loop {
        let mut consumer = shared.jobs.consume();
        let mut health = consumer.health();
        // A new consumer has nothing in hand, whatever became of the one before it.
        health.mark_changed();
        loop {
            tokio::select! {
                biased;
                deadline = &mut closing => {
                    // An error means that the desk is gone: so is what it had in hand.
                    if let Ok(deadline) = deadline {
                        consumer.close(deadline).await;
                    }
                    return;
                }
                Ok(()) = health.changed() => {
                    let now = health.borrow_and_update().clone();
                    shared.jobs_health.send_replace(now);
                }
                taken = consumer.next() => match taken {
                    Some(taken) => desk.do_send(FromQueue(taken)),
                    None => break,
                },
            }
        }
        tracing::error!(
            event = "queue.failed",
            "the taker of jobs has ended; a new one takes over"
        );
        tokio::time::sleep(AGAIN).await;
    }
}

impl Handler<CloseDesk> for JobDesk {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        CloseDesk(deadline): CloseDesk,
        context: &mut Context<Self>,
    ) -> Self::Result {
        self.closing = true;
        let idle: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| held.plan.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        for key in idle {
            // What is being planned this moment stands in the journal, and is taken up next time.
            self.settle(&key, Outcome::Released, context);
        }
        let Some(close) = self.close.take() else {
            return Box::pin(std::future::ready(()));
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if close.send(deadline).is_err() {
                return;
            }
            let give_up = shared.clock.mono() + deadline;
            while shared.clock.mono() < give_up && shared.jobs_health.borrow().in_hand > 0 {
                tokio::time::sleep(BEAT).await;
            }
        })
    }
}

const BEAT: Duration = Duration::from_millis(10);
