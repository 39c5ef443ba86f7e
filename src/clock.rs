//! The one place that reads the machine's clocks and its randomness. Everything else is given them.
#![allow(clippy::disallowed_methods)] // this is where they are allowed

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use tokio::time::Instant;

/// The machine's clocks, counted from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Time since the start of the process: monotonic, never set back.
    pub fn mono(&self) -> Duration {
        self.started.elapsed()
    }

    /// The wall clock, UTC.
    pub fn utc(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// A point of monotonic time for timers.
    pub fn instant(&self, mono: Duration) -> Instant {
        self.started + mono
    }

    /// A random number in 0 to 1, for jitter.
    pub fn roll(&self) -> f64 {
        rand::thread_rng().r#gen()
    }
}
