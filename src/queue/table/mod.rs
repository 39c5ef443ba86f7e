//! The queue in the service's own database: nothing needs to be installed, and it means the same.
//!
//! `database` is what it asks of the database; `add` and `inspect` serve commands;
//! `serve` hands jobs out, with `take` choosing them, `lease` keeping them, and `record`
//! writing down what became of them.

mod add;
mod database;
mod entity;
mod inspect;
mod lease;
mod record;
mod serve;
mod take;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Consumer, QueueError, QueueOptions};
use crate::clock::Clock;

pub use database::{Database, DatabaseError, Work};

/// A queue in a table.
#[derive(Clone)]
pub struct TableQueue {
    shared: Arc<Shared>,
}

struct Shared {
    database: Arc<dyn Database>,
    options: QueueOptions,
    clock: Clock,
    /// No other process takes jobs from this table.
    alone: bool,
    /// A job was added by this process.
    added: Notify,
}

impl fmt::Debug for TableQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableQueue({})", self.shared.options.name)
    }
}

impl TableQueue {
    /// The queue of this name in a database. `alone` says that no other process takes jobs from it:
    /// then whatever is in hand when a consumer starts was abandoned, and need not wait until its
    /// lease has run out.
    pub fn new(
        database: Arc<dyn Database>,
        options: QueueOptions,
        alone: bool,
        clock: Clock,
    ) -> Self {
        let shared = Shared {
            database,
            options,
            clock,
            alone,
            added: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn consume(&self) -> Consumer {
        let shared = Arc::clone(&self.shared);
        Consumer::start(self.shared.options.take, |inlet| {
            serve::serve(shared, inlet)
        })
    }
}

impl Shared {
    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        self.clock.utc().timestamp_millis()
    }
}

fn unavailable(cause: impl fmt::Display) -> QueueError {
    QueueError::Unavailable {
        queue: "the job queue in the database",
        cause: cause.to_string(),
    }
}

/// In milliseconds.
fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
