//! What the file of intents says, frame by frame.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::super::execution::Execution;
use super::attempts::Attempts;
use crate::domain::audit::Entry;
use crate::domain::execution::State;
use crate::domain::ids::ExecutionId;
use crate::store::SocketAttempt;

/// An execution as it stands, and what else its row is to be written with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::journal) struct Intent {
    /// Of two words about one execution the one with the higher number counts.
    pub(in crate::journal) version: u64,
    /// All that its row holds.
    pub(in crate::journal) execution: Execution,
    /// Of one that was applied: its audit entry.
    pub(in crate::journal) entry: Option<Entry>,
}

/// One frame: what stands or falls together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Record {
    /// Executions stand so.
    Stands(Vec<Intent>),
    /// What this version said stands in the journal: from here on the journal's word counts.
    Released(ExecutionId, u64),
    /// A socket is about to be opened, and the store has not heard of it.
    Attempted(u64, SocketAttempt),
    /// The store has heard of all such up to this one.
    Noted(u64),
}

/// What stands in the file and not in the store.
#[derive(Debug, Default)]
pub(in crate::journal) struct Left {
    /// Executions, the oldest first.
    pub(super) intents: Vec<Intent>,
    /// Attempts to open sockets.
    pub(super) attempts: Attempts,
}

impl Left {
    /// The highest version in it.
    pub(super) fn version(&self) -> u64 {
        let intents = self.intents.iter().map(|intent| intent.version);
        intents
            .chain(self.attempts.last())
            .max()
            .unwrap_or_default()
    }
}

impl Record {
    /// As it is written.
    pub(super) fn payload(&self) -> Vec<u8> {
        // It holds nothing that JSON cannot; an empty frame is refused when it is read.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What stands in the file and not in the store.
///
/// # Errors
/// The number of the first frame that cannot be read, and why.
pub(super) fn standing(frames: &[Vec<u8>]) -> Result<Left, String> {
    let mut attempts = Attempts::default();
    let mut standing: HashMap<ExecutionId, Intent> = HashMap::new();
    for (number, frame) in frames.iter().enumerate() {
        let record = serde_json::from_slice(frame)
            .map_err(|error| format!("frame {number} of it cannot be read: {error}"))?;
        match record {
            Record::Stands(intents) => intents.into_iter().for_each(|intent| {
                let known = standing.get(&intent.execution.id);
                if known.is_none_or(|known| known.version <= intent.version) {
                    standing.insert(intent.execution.id, intent);
                }
            }),
            Record::Released(id, version) => {
                if standing
                    .get(&id)
                    .is_some_and(|known| known.version <= version)
                {
                    standing.remove(&id);
                }
            }
            Record::Attempted(version, attempt) => attempts.add(version, attempt),
            Record::Noted(version) => attempts.noted(version),
        }
    }
    let mut standing: Vec<_> = standing.into_values().collect();
    standing.sort_by_key(|intent| intent.version);
    Ok(Left {
        intents: without_the_superseded(standing),
        attempts,
    })
}

/// An intent whose writing took too long was given up, before anything was sent; its trigger has
/// fired again since, as another execution, which is the one that counts.
fn without_the_superseded(standing: Vec<Intent>) -> Vec<Intent> {
    let latest: HashMap<String, ExecutionId> = standing
        .iter()
        .map(|intent| (intent.execution.trigger_key.clone(), intent.execution.id))
        .collect();
    let counts = |intent: &Intent| {
        let execution = &intent.execution;
        let given_up = execution.state == State::Planned && execution.attempts == 0;
        !given_up || latest.get(&execution.trigger_key) == Some(&execution.id)
    };
    standing.into_iter().filter(counts).collect()
}
