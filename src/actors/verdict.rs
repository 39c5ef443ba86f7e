//! What is told of a child that died.

use std::time::Duration;

use crate::domain::restart::Verdict;
use crate::supervision::Exit;
use crate::telemetry::{Event, Events};

/// Tells how an actor died and what follows. Returns how long to wait before it is started again.
pub(super) fn tell(events: &Events, actor: String, exit: &Exit, verdict: &Verdict) -> Duration {
    let cause = exit.to_string();
    events.emit(Event::ActorDied {
        actor: actor.clone(),
        cause: cause.clone(),
    });
    match *verdict {
        Verdict::Restart { attempt, delay } => {
            let delay_ms = delay.as_millis() as u64;
            events.emit(Event::ActorRestarting {
                actor,
                attempt,
                delay_ms,
            });
            delay
        }
        Verdict::Quarantine { retry } => {
            let retry_s = retry.as_secs();
            events.emit(Event::ActorQuarantined {
                actor,
                cause,
                retry_s,
            });
            retry
        }
    }
}
