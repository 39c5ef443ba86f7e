//! Jobs: added as `vigia job add` adds them, and looked at.

use std::time::Duration;

use serde_json::json;
use vigia::app;
use vigia::domain::ids::AutomationId;
use vigia::queue::{Backoff, Entry, JobQueue, JobState, NewJob};
use vigia::store::Store;

use crate::stage::{Stage, USER};

/// `[queue]`: what was abandoned is found soon, and as often as a test kills.
pub const QUEUE: &str = r#"
[queue]
lock_ms = 1000
stalled_ms = 100
poll_ms = 100
set_aside_ms = 100
max_stalled = 1000
"#;
const PRIORITY: u32 = 8;
const BACKOFF: Duration = Duration::from_millis(100);

impl Stage {
    fn queue(&self, store: &Store) -> JobQueue {
        app::job_queue(self.settings(), store, self.clock).unwrap()
    }

    /// Asks for an automation to be run now.
    pub async fn ask(&self, automation: &AutomationId, attempts: u32) -> String {
        let store = self.store().await;
        let job = NewJob {
            id: None,
            data: json!({ "userId": USER, "automationId": automation }),
            priority: PRIORITY,
            delay: Duration::ZERO,
            attempts,
            backoff: Some(Backoff::Fixed(BACKOFF)),
            keep_completed: None,
            keep_failed: None,
        };
        let added = self.queue(&store).add(job).await.unwrap();
        store.close().await;
        added.id
    }

    /// A job as it stands.
    pub async fn job(&self, store: &Store, id: &str) -> Entry {
        self.queue(store).show(id).await.unwrap()
    }
}

/// Whether a job has ended.
pub fn has_ended(job: &Entry) -> bool {
    matches!(job.state, JobState::Completed | JobState::Failed)
}
