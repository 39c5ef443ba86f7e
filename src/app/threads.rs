//! The two threads of a service, each watched from the other.

use actix::ArbiterHandle;
use tokio::task::JoinHandle;

use crate::actors::Shared;
use crate::supervision::watchdog::{Limits, Pulse, watch};

/// The I/O thread's beat, and its watch over the trading thread. Dropped, both end.
pub(super) struct Threads {
    beat: JoinHandle<()>,
    watchdog: JoinHandle<()>,
}

impl Threads {
    /// Called on the I/O thread.
    pub(super) fn watch_each_other(shared: &Shared, trading: &ArbiterHandle) -> Self {
        let (clock, limits) = (shared.clock, Limits::default());
        let (traders, io) = (Pulse::default(), Pulse::default());
        let part = |name| shared.progress.part(name, shared.tuning.progress);
        trading.spawn(traders.clone().beat(part("trading thread")));
        trading.spawn(watch("io", io.clone(), clock, limits));
        Self {
            beat: actix_rt::spawn(io.beat(part("io thread"))),
            watchdog: actix_rt::spawn(watch("trading", traders, clock, limits)),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.beat.abort();
        self.watchdog.abort();
    }
}
