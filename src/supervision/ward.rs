//! A parent's knowledge of one child: which start of it is alive, how often it died, what follows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{ChildExit, Exit};
use crate::domain::restart::{Deaths, RestartPolicy, Tenure, Verdict};

/// Never the same twice in a process: the exit of a child whose ward was replaced under the same
/// name is no news to the new ward.
static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

/// One child in its parent's care.
#[derive(Debug)]
pub struct Ward {
    tenure: Tenure,
    generation: u64,
    started: Duration,
    deaths: Deaths,
    restarts: u64,
    last_cause: Option<Exit>,
    quarantined: bool,
}

impl Ward {
    /// A child that has not been started yet.
    pub fn new(tenure: Tenure) -> Self {
        Self {
            tenure,
            generation: 0,
            started: Duration::ZERO,
            deaths: Deaths::default(),
            restarts: 0,
            last_cause: None,
            quarantined: false,
        }
    }

    /// Notes a start and gives its generation.
    pub fn starts(&mut self, now: Duration) -> u64 {
        self.restarts += u64::from(self.generation > 0);
        self.generation = NEXT_GENERATION.fetch_add(1, Ordering::Relaxed);
        self.started = now;
        self.quarantined = false;
        self.generation
    }

    /// Notes an exit. `None`: an earlier generation's, no news.
    pub fn exited(
        &mut self,
        notice: &ChildExit,
        now: Duration,
        policy: &RestartPolicy,
        roll: f64,
    ) -> Option<Verdict> {
        if notice.generation != self.generation {
            return None;
        }
        let verdict = self
            .deaths
            .note(self.started, now, self.tenure, policy, roll);
        self.last_cause = Some(notice.exit.clone());
        self.quarantined = matches!(verdict, Verdict::Quarantine { .. });
        Some(verdict)
    }

    /// The generation that was started last.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// How it died last.
    pub fn last_cause(&self) -> Option<&Exit> {
        self.last_cause.as_ref()
    }

    /// Whether it is set aside.
    pub fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// When it was started last.
    pub fn started_at(&self) -> Duration {
        self.started
    }
}
