//! What a rule did during a replay.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::execution::{Action, State};
use crate::domain::units::Price;

/// What a rule did, or could not do; the same thing again is counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execution {
    pub time: DateTime<Utc>,
    pub position: String,
    pub price: Price,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Liquidation price afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liquidation: Option<Price>,
    /// How often in a row.
    pub times: u32,
}

impl Execution {
    /// Whether another is the same failure, or skip, of the same position once more.
    pub fn repeats(&self, last: &Self) -> bool {
        self.state != State::Done
            && (self.state, &self.reason, &self.position)
                == (last.state, &last.reason, &last.position)
    }
}

/// Executions by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub done: u64,
    pub failed: u64,
    pub skipped: u64,
}

/// All executions of a replay, in their order; counted beyond [`Record::MOST`].
#[derive(Debug, Default)]
pub(super) struct Record {
    pub kept: Vec<Execution>,
    pub counts: Counts,
}

impl Record {
    /// So many are kept.
    pub const MOST: usize = 10_000;

    /// How many there were.
    pub fn written(&self) -> u64 {
        self.counts.done + self.counts.failed + self.counts.skipped
    }

    pub fn write(&mut self, execution: Execution) {
        match execution.state {
            State::Done => self.counts.done += 1,
            State::Skipped => self.counts.skipped += 1,
            _ => self.counts.failed += 1,
        }
        let has_room = self.kept.len() < Self::MOST;
        match self.kept.last_mut() {
            Some(last) if execution.repeats(last) => last.times += 1,
            _ if has_room => self.kept.push(execution),
            _ => {}
        }
    }
}
