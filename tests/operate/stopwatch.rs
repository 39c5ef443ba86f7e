//! How long something takes.

use std::time::Duration;

use vigia::clock::Clock;

pub struct Stopwatch(Clock);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Clock::start())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.awake()
    }
}
