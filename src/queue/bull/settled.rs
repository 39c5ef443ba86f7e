//! Outcomes that Redis may not have recorded. One that was lost on its way leaves its job in hand of
//! nobody: the job stalls and is handed out again, and is then answered without running.

use std::collections::{HashMap, VecDeque};

use crate::domain::jobs::JobKey;
use crate::queue::Outcome;

/// How many outcomes are remembered, the latest.
const REMEMBERED: usize = 1024;

/// The latest outcomes.
#[derive(Default)]
pub(super) struct Settled {
    outcomes: HashMap<JobKey, Remembered>,
    order: VecDeque<JobKey>,
}

struct Remembered {
    outcome: Outcome,
    /// Which attempt it ended.
    attempts_made: u32,
    /// How often the job had stalled by then. Somebody who lets a job run again by hand may reset
    /// its attempts, but it has not stalled again.
    stalls: u32,
}

impl Settled {
    /// Remembers what became of an attempt.
    pub(super) fn remember(
        &mut self,
        key: &JobKey,
        attempts_made: u32,
        stalls: u32,
        outcome: &Outcome,
    ) {
        let remembered = Remembered {
            outcome: outcome.clone(),
            attempts_made,
            stalls,
        };
        if self.outcomes.insert(key.clone(), remembered).is_none() {
            self.order.push_back(key.clone());
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.outcomes.remove(&oldest);
            }
        }
    }

    /// What became of this attempt, if the job comes again only because that was not recorded.
    pub(super) fn unrecorded(
        &self,
        key: &JobKey,
        attempts_made: u32,
        stalls: u32,
    ) -> Option<Outcome> {
        let remembered = self.outcomes.get(key)?;
        let same = remembered.attempts_made == attempts_made && remembered.stalls < stalls;
        same.then(|| remembered.outcome.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_stalled_since_is_answered_from_memory() {
        let mut settled = Settled::default();
        let key = JobKey::new("1", 5);
        let failed = Outcome::Failed("why".to_owned());
        settled.remember(&key, 0, 0, &failed);
        assert_eq!(settled.unrecorded(&key, 0, 1), Some(failed));
        assert_eq!(settled.unrecorded(&key, 0, 0), None, "run again by hand");
        assert_eq!(settled.unrecorded(&key, 1, 1), None, "another attempt");
        let flushed = JobKey::new("1", 6);
        assert_eq!(settled.unrecorded(&flushed, 0, 1), None, "another job");
        for number in 0..REMEMBERED {
            let key = JobKey::new(&number.to_string(), 7);
            settled.remember(&key, 0, 0, &Outcome::Released);
        }
        assert_eq!(settled.unrecorded(&key, 0, 1), None, "long ago");
        assert_eq!(settled.outcomes.len(), REMEMBERED);
    }
}
