//! Whether the parts of the service get on with their work. Alive is not enough: a part counts for
//! what it has got done last, and how long ago that is.
//!
//! A part marks what it has got done whether that went well or not: a store that refuses is no reason
//! to start the process again, which brings no store back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// The parts that are expected to get on. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Progress {
    clock: Clock,
    parts: Arc<Mutex<Vec<Arc<Part>>>>,
}

#[derive(Debug)]
struct Part {
    name: String,
    limit: Duration,
    /// Milliseconds for which the machine had run when it got something done last.
    marked_at: AtomicU64,
}

/// A part's own handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Marker {
    clock: Clock,
    part: Arc<Part>,
}

/// A part that has got nothing done for longer than it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The part.
    pub part: String,
    /// How long ago it got something done.
    pub silent: Duration,
}

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {} ms", self.part, self.silent.as_millis())
    }
}

impl Progress {
    /// Nobody is expected to get on yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            parts: Arc::default(),
        }
    }

    /// The part of this name, expected from now on to get something done within every `limit`. One
    /// that is there already, as that of an actor that died, keeps its limit and the time of its last
    /// mark.
    pub fn part(&self, name: &str, limit: Duration) -> Marker {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parts.iter().find(|part| part.name == name);
        let part = known.cloned().unwrap_or_else(|| {
            let part = Arc::new(Part {
                name: name.to_owned(),
                limit,
                marked_at: AtomicU64::new(milliseconds(self.clock)),
            });
            parts.push(Arc::clone(&part));
            part
        });
        Marker {
            clock: self.clock,
            part,
        }
    }

    /// How long ago each part got something done.
    pub fn ages(&self) -> Vec<(String, Duration)> {
        let silent = self.silent().into_iter();
        silent.map(|(part, age)| (part.name.clone(), age)).collect()
    }

    fn silent(&self) -> Vec<(Arc<Part>, Duration)> {
        let now = milliseconds(self.clock);
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = parts.iter().map(|part| {
            let silent = now.saturating_sub(part.marked_at.load(Ordering::Relaxed));
            (Arc::clone(part), Duration::from_millis(silent))
        });
        silent.collect()
    }

    /// Parts that have got nothing done for too long.
    pub fn late(&self) -> Vec<Late> {
        self.silent()
            .into_iter()
            .filter(|(part, silent)| *silent > part.limit)
            .map(|(part, silent)| Late {
                part: part.name.clone(),
                silent,
            })
            .collect()
    }
}

impl Marker {
    /// Something was got done just now.
    pub fn mark(&self) {
        let now = milliseconds(self.clock);
        self.part.marked_at.store(now, Ordering::Relaxed);
    }
}

/// A machine that was suspended is no part that stands still.
fn milliseconds(clock: Clock) -> u64 {
    clock.awake().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_is_late_by_itself_until_it_gets_something_done() {
        let progress = Progress::new(Clock::start());
        let limit = Duration::from_secs(10);
        let (slow, quick) = (progress.part("slow", limit), progress.part("quick", limit));
        tokio::time::advance(limit).await;
        assert_eq!(progress.late(), [], "neither is late yet");
        quick.mark();
        tokio::time::advance(Duration::from_secs(1)).await;
        let late = progress.late();
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].to_string(), "slow for 11000 ms");
        // That it was replaced is no progress.
        let successor = progress.part("slow", limit);
        assert_eq!(progress.late().len(), 1);
        successor.mark();
        assert_eq!(progress.late(), []);
        drop(slow);
    }
}
