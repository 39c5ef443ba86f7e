//! Places where tests stop everything: on the way of an execution from intent to acknowledgement, and
//! in the life of actors. Without the feature `failpoints` nothing of this is compiled in.
//!
//! In the order in which an execution comes to them:
//!
//! | place | key | what stands by then |
//! |---|---|---|
//! | `automation.fired` | account | a trigger's intent |
//! | `job.taken` | job | the job is in hand, its plan is not made |
//! | `job.planned` | job | the job's intents |
//! | `execution.fallen_back` | account | the intent of what is done where no margin can be added |
//! | `execution.planned` | account | the last look was taken; `sending` does not stand |
//! | `execution.sending` | account | `sending`; nothing is signed |
//! | `request.signed` | API key | the request is signed, nothing of it has left |
//! | `execution.answered` | account | the reply was read, or is known to be lost; the journal knows nothing of it |
//! | `execution.first_leg` | account | the first leg of a reduction, and the intent of the second |
//! | `execution.recording` | account | the outcome is known by a reply or a proof, and not recorded |
//! | `execution.recorded` | account | `done` and its audit entry; nobody was told |
//! | `intents.kept` | | the store is silent; a step, any of them, stands in the file of intents |
//! | `intents.replayed` | | the store has taken an execution over from the file, which does not say so |
//! | `intents.released` | | the file says so: the store's word counts again |
//! | `notice.posted` | notice | the receiver took it, or refused it; the outbox knows nothing of it |
//! | `notice.marked` | notice | the outbox knows |
//! | `job.settling` | job | all its executions have ended; the queue was not told |
//! | `job.acknowledged` | job | the queue knows (on Redis: is about to) |

/// Passes a named place on behalf of a key. In test builds it panics or kills the process if it was
/// told to by `set` or by `VIGIA_FAILPOINT=PLACE=panic` (`=panic:N` for the first N passes), `=kill`,
/// or `=kill:N` for the pass so counted; `=stall:MS` stops its thread for so many milliseconds.
/// `PLACE@KEY` is for one key only.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn pass(_place: &str, _key: &str) {}

/// Stands still for ever at a named place if a test said so by `Deed::Hang`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub async fn linger(_place: &str, _key: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::{Deed, clear, linger, pass, set};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// What happens at a place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Deed {
        /// So many passes panic.
        Panic(u32),
        /// The process dies as by SIGKILL, at the pass so counted from 1.
        Kill(u32),
        /// The thread that passes stands still for so many milliseconds, once.
        Stall(u64),
        /// One future that passes never goes on.
        Hang,
    }

    type Key = (String, Option<String>);

    static DEEDS: LazyLock<Mutex<HashMap<Key, Deed>>> = LazyLock::new(|| {
        let told = std::env::var("VIGIA_FAILPOINT").ok();
        let deeds = told.as_deref().and_then(|told| told.split_once('='));
        let deeds = deeds.map(|(place, deed)| {
            let deed = match deed.split_once(':') {
                Some(("panic", count)) => Deed::Panic(count.parse().unwrap_or(1)),
                Some(("kill", count)) => Deed::Kill(count.parse().unwrap_or(1)),
                Some(("stall", length)) => Deed::Stall(length.parse().unwrap_or(0)),
                _ if deed == "kill" => Deed::Kill(1),
                _ => Deed::Panic(1),
            };
            let (place, key) = match place.split_once('@') {
                Some((place, key)) => (place, Some(key.to_owned())),
                None => (place, None),
            };
            ((place.to_owned(), key), deed)
        });
        Mutex::new(deeds.into_iter().collect())
    });

    fn deeds() -> std::sync::MutexGuard<'static, HashMap<Key, Deed>> {
        DEEDS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this happens at a place; for one key only, if one is given.
    pub fn set(place: &str, key: Option<&str>, deed: Deed) {
        deeds().insert((place.to_owned(), key.map(str::to_owned)), deed);
    }

    /// Nothing happens at any place any more.
    pub fn clear() {
        deeds().clear();
    }

    /// Stands still for ever if it was told to.
    pub async fn linger(place: &str, key: &str) {
        let keyed = (place.to_owned(), Some(key.to_owned()));
        let hangs = deeds().remove(&keyed) == Some(Deed::Hang);
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    /// Passes a place.
    #[allow(clippy::panic)] // its purpose
    pub fn pass(place: &str, key: &str) {
        let deed = {
            let mut deeds = deeds();
            let keys = [
                (place.to_owned(), Some(key.to_owned())),
                (place.to_owned(), None),
            ];
            let Some(key) = keys.into_iter().find(|key| deeds.contains_key(key)) else {
                return;
            };
            let deed = deeds.remove(&key);
            match deed {
                Some(Deed::Panic(left)) if left > 1 => {
                    deeds.insert(key, Deed::Panic(left - 1));
                    deed
                }
                Some(Deed::Kill(left)) if left > 1 => {
                    deeds.insert(key, Deed::Kill(left - 1));
                    None
                }
                _ => deed,
            }
        };
        match deed {
            Some(Deed::Panic(_)) => panic!("failpoint: {place}"),
            Some(Deed::Kill(_)) => {
                let _ = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                loop {
                    std::thread::park();
                }
            }
            Some(Deed::Stall(length)) => {
                std::thread::sleep(std::time::Duration::from_millis(length));
            }
            Some(Deed::Hang) | None => {}
        }
    }
}
