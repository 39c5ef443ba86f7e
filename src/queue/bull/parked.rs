//! First jobs of schedulers whose options the crate could not read, see [`repair`](super::repair).
//!
//! When the crate is told what became of a scheduler's job, it arms the next one, from options as it
//! read them: from none. The next one would lose its attempts, and a cron pattern its time. So it is
//! not told before the job, put back with options that can be read, has been carried out, which arms
//! the next one properly; after that, telling it changes nothing.

use std::time::Duration;

use tokio::time::sleep;

use super::hands::{Act, Hands};

/// Between looks.
const LOOK: Duration = Duration::from_millis(100);
/// A job that has ended so many looks ago has armed what it was to arm.
const LOOKS_AFTER_THE_END: u32 = 50;

impl Hands {
    /// Waits until the scheduler's next job is armed.
    pub(super) async fn outwait(&self, job: &bullmq::Job, scheduler: &str) {
        // Takes up no room: what it waits for must be handed out meanwhile.
        let _parked = self.link().parked();
        let own = job.id().rsplit(':').next();
        let mut looks_after_the_end = 0;
        while !self.stopping() {
            let Some(armed) = self.insist(job, Act::Armed(scheduler)).await else {
                return;
            };
            if armed.as_deref() != own {
                return;
            }
            let finished = self.insist(job, Act::Read("finishedOn")).await.flatten();
            let named = self.insist(job, Act::Read("name")).await.flatten();
            if finished.is_some() || named.is_none() {
                looks_after_the_end += 1;
            }
            if looks_after_the_end > LOOKS_AFTER_THE_END {
                // It was the scheduler's last: nothing may be armed after it.
                self.insist(job, Act::Disarm(scheduler)).await;
                return;
            }
            sleep(LOOK).await;
        }
    }
}
