//! What a reading showed before any event told of it, and whether a socket is to blame.

use std::collections::HashMap;
use std::time::Duration;

use super::{EVENT_FOLLOWS, ReadOutcome, drift};
use crate::domain::ids::PositionId;

/// Trades that came or went unannounced.
#[derive(Clone, Debug, Default)]
pub(super) struct Unannounced {
    /// Which came (`true`) or went, and when the reading that showed it was requested.
    trades: HashMap<PositionId, (bool, Duration)>,
    hearing: Hearing,
}

/// Whether events tell of what comes and goes.
#[derive(Clone, Copy, Debug, Default)]
enum Hearing {
    /// There is no socket.
    #[default]
    Nothing,
    /// There is one since this time; what came or went before it, the next reading shows.
    FromNowOn(Duration),
    /// Whatever came or went after this reading, the socket has to tell of.
    After(Duration),
}

impl Unannounced {
    pub(super) fn hears_from(&mut self, now: Duration) {
        self.hearing = Hearing::FromNowOn(now);
    }

    pub(super) fn hears_nothing(&mut self) {
        self.hearing = Hearing::Nothing;
    }

    /// An event has told of it.
    pub(super) fn announce(&mut self, id: PositionId) {
        self.trades.remove(&id);
    }

    pub(super) fn came(&mut self, id: PositionId, requested_at: Duration) {
        self.trades.insert(id, (true, requested_at));
    }

    pub(super) fn went(&mut self, id: PositionId, requested_at: Duration) {
        self.trades.insert(id, (false, requested_at));
    }

    /// What came or went and whose event has had its time is drift, and a socket that was up and did
    /// not tell of it is deaf.
    pub(super) fn tell(&mut self, requested_at: Duration, outcome: &mut ReadOutcome) {
        if let Hearing::FromNowOn(up) = self.hearing
            && requested_at >= up
        {
            self.hearing = Hearing::After(requested_at);
        }
        let hearing = self.hearing;
        self.trades.retain(|id, (came, since)| {
            let due = *since + EVENT_FOLLOWS;
            if requested_at < due {
                let again = outcome.read_again_at.map_or(due, |at| at.min(due));
                outcome.read_again_at = Some(again);
                return true;
            }
            outcome.missed_event |= matches!(hearing, Hearing::After(at) if *since > at);
            outcome.drift.push(drift(
                *id,
                "running",
                &(!*came).to_string(),
                &came.to_string(),
            ));
            false
        });
    }
}
