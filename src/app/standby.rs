//! A process that waits for its turn.

use std::future::Future;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Settings;
use crate::supervision::{Marker, Progress};

/// Whose end is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// Who that is; empty before anybody was found.
    pub holder: String,
    /// Whether this process has its data folder already, and waits for the right to trade alone.
    pub has_folder: bool,
}

/// What a process that waits for its turn shows of itself.
pub struct Standby {
    /// Whether it gets on with looking: a store that does not answer is looked at all the same.
    pub progress: Progress,
    looks: Marker,
    awaited: watch::Sender<Awaited>,
}

impl Standby {
    /// One that has not looked yet.
    pub fn new(settings: &Settings) -> Self {
        let tuning = settings.tuning();
        let progress = Progress::new(Clock::start());
        let limit = tuning.progress + tuning.store_answers;
        Self {
            looks: progress.part("standby", limit),
            progress,
            awaited: watch::Sender::default(),
        }
    }

    /// Whose end is waited for now.
    pub fn awaited(&self) -> Awaited {
        self.awaited.borrow().clone()
    }

    /// Resolves when nobody but this process can write to its data folder any more.
    pub fn has_folder(&self) -> impl Future<Output = ()> + use<> {
        let mut awaited = self.awaited.subscribe();
        async move {
            if awaited
                .wait_for(|awaited| awaited.has_folder)
                .await
                .is_err()
            {
                std::future::pending().await
            }
        }
    }

    pub(super) fn looked(&self) {
        self.looks.mark();
    }

    pub(super) fn waits_for(&self, holder: &str, has_folder: bool) {
        self.awaited.send_replace(Awaited {
            holder: holder.to_owned(),
            has_folder,
        });
    }
}
