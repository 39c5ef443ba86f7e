//! The intents: what protective executions have come to while the store does not answer, in a file of
//! the data folder that is written in place and synced, so that it can be written while the disk is
//! full or the server gone; taken over by the journal before anything else of theirs.
//!
//! # Whose word counts
//!
//! Each unfinished execution of a margin guard or a stop-loss is known here (`Book`), and stands in
//! one place at a time: in the store, or in the file. It goes from the store to the file when a write
//! of one of its steps has had no answer for `journal.intents_after_ms`, and back when the store has
//! taken its last word (`replay`) and the release of just that word stands in the file. From then on
//! the store's word counts again.
//!
//! # A write that lands late
//!
//! The write that had no answer may be made all the same, now or later. It does no harm, whatever it
//! was, since both speak of one execution with one id, and nobody asks the store about it before the
//! file was taken over:
//!
//! | late | stands in the store then | taking over |
//! |---|---|---|
//! | firing | `planned`, its episode fired | finds the row by its id and brings it to the file's state |
//! | firing, after the taking over | the trigger key is taken: nothing is written | |
//! | `sending` | `sending`, as in the file | as above |
//! | `sending`, after the taking over | it was `planned` no more: nothing is written; or it was sent back to be planned: `sending` without a request, which is proven not to have been applied | |
//! | an end | that end, with its audit entry | finds it ended: writes nothing, no second entry |
//!
//! What fired for one trigger key is one execution: the file refuses a second for an episode that has
//! fired, in the store or in the file, as long as this process knows of it; and a row that stands under
//! the key of another id (of another machine's, which took over without this file) stays: what was
//! sent from here is written beside it, told loudly, what was not is dropped.
//!
//! # What the store has never heard of
//!
//! What is armed in the store is read when the file is opened, and followed from then on: only this
//! process arms. So a position that is met for the first time while the store is away is known not to
//! be armed, and its first episode is armed in memory; it reaches the store with what fired, or when
//! that is back. An attempt to open a socket stands in the file, too, before it is made.
//!
//! # After a crash
//!
//! The file is read and taken over before anything is started. What was `sending` is then proven at
//! the exchange as any other. What was written and never answered counts as written.

mod attempts;
mod book;
mod daily;
mod file;
mod firing;
mod frame;
mod keep;
mod known;
mod record;
mod replay;
mod stepping;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::execution::Execution;
use super::{JournalError, OpenedEpisode};
use crate::clock::Clock;
use crate::domain::ids::ExecutionId;
use crate::store::StoreError;

pub(super) use book::Kept;
use book::{Armed, ArmingKey, Book, Outage, Place};
use file::IntentsFile;
use record::{Left, Record};
pub(super) use stepping::Stepped;
use writer::{NotWritten, Writer};

/// The file's name in the data folder.
const FILE: &str = "intents";
/// How soon a step is tried again on an execution that is just given back to the store.
const SOON: Duration = Duration::from_millis(2);
/// A file has two halves, of which one counts.
const HALVES: u64 = 2;
/// Bytes of a kibibyte.
const KIB: u64 = 1024;

/// How intents are kept.
#[derive(Clone, Copy, Debug)]
pub struct IntentTerms {
    /// How long a write of a protective execution may take before its intent goes into the file.
    pub after: Duration,
    /// Size of the file, in KiB.
    pub kib: u64,
}

/// How the journal does without its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For how long the store has not answered, and what it said; `None` while it does.
    pub outage: Option<(Duration, String)>,
    /// Executions that stand in the file and not in the store.
    pub waiting: usize,
    /// For how long the oldest of them does.
    pub oldest: Option<Duration>,
    /// Executions that stay in the file: the store refuses them for good.
    pub set_aside: usize,
    /// Bytes that are written of the file, and how many it holds before it is written anew.
    pub filled: (u64, u64),
}

/// How many executions stand in the file of a data folder and not in its store; none where there is
/// no file. The file is left alone.
///
/// # Errors
/// Where it cannot be read.
pub fn left_in(folder: &Path) -> Result<usize, String> {
    let path = folder.join(FILE);
    let frames = match IntentsFile::look(&path) {
        Ok(frames) => frames,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(format!("the file of intents {}: {error}", path.display())),
    };
    record::standing(&frames).map(|left| left.intents.len())
}

/// The handle of the intents; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Intents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    book: Arc<Mutex<Book>>,
    writer: Writer,
    terms: IntentTerms,
    clock: Clock,
    /// Told when an outage begins.
    begun: Notify,
}

impl Intents {
    /// Opens the file of a data folder, or makes it, and reads what waits in it. One that cannot be
    /// made is told loudly and tried again when it is needed.
    ///
    /// # Errors
    /// Where what may stand in it cannot be read.
    pub(super) fn open(
        folder: &Path,
        terms: IntentTerms,
        clock: Clock,
    ) -> Result<(Self, Left), StoreError> {
        let place = file::Place {
            path: folder.join(FILE),
            size: terms.kib * KIB,
        };
        let unusable = |error: &dyn std::fmt::Display| {
            let path = place.path.display();
            StoreError::unavailable(format!("the file of intents {path}: {error}"))
        };
        let (file, frames) = match IntentsFile::open(&place) {
            Ok((file, frames)) => (Some(file), frames),
            Err(error) if !place.path.exists() => {
                tracing::error!(event = "journal.intents_missing", %error, "it is tried again when it is needed");
                (None, vec![])
            }
            Err(error) => return Err(unusable(&error)),
        };
        let left = record::standing(&frames).map_err(|error| unusable(&error))?;
        let book = Arc::new(Mutex::new(Book::from_version(left.version())));
        let of_book = Arc::clone(&book);
        let standing = Box::new(move || payloads(&lock(&of_book)));
        let writer = Writer::start(place.clone(), file, standing).map_err(|e| unusable(&e))?;
        let inner = Inner {
            book,
            writer,
            terms,
            clock,
            begun: Notify::new(),
        };
        Ok((Self(Arc::new(inner)), left))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.0.book)
    }

    pub(super) fn terms(&self) -> IntentTerms {
        self.0.terms
    }

    /// How the journal does without its store.
    pub(super) fn standing(&self) -> Standing {
        let book = self.book();
        let now = self.0.clock.mono();
        let told = |outage: &Outage| (now.saturating_sub(outage.since), outage.cause.clone());
        Standing {
            outage: book.outage.as_ref().map(told),
            waiting: book.waiting(),
            oldest: book.oldest().map(|since| now.saturating_sub(since)),
            set_aside: book.set_aside(),
            filled: self.0.writer.filled(),
        }
    }

    /// Whether the store is known not to answer: it is not asked in vain.
    pub(super) fn is_outage(&self) -> bool {
        self.book().outage.is_some()
    }

    /// From now on it is known.
    pub(super) fn begin_outage(&self, cause: &JournalError) {
        let since = self.0.clock.mono();
        let mut book = self.book();
        if book.outage.is_some() {
            return;
        }
        let cause = cause.to_string();
        tracing::error!(
            event = "journal.degraded", error = %cause,
            "protective actions are kept in the file of intents, others wait"
        );
        book.outage = Some(Outage {
            since,
            cause,
            kept: 0,
        });
        self.0.begun.notify_one();
    }

    /// Whether an execution is known, so that it can do without the store.
    pub(super) fn knows(&self, id: ExecutionId) -> bool {
        self.book().kept.contains_key(&id)
    }

    /// An execution whose word is the file's.
    pub(super) fn in_file(&self, id: ExecutionId) -> Option<Execution> {
        let book = self.book();
        let kept = book.kept.get(&id).filter(|kept| kept.place != Place::Store);
        kept.map(|kept| kept.row.clone())
    }

    /// An unfinished row of the store as it really stands; noted, so that it can do without the store.
    pub(super) fn current(&self, row: Execution) -> Execution {
        let current = self.in_file(row.id).unwrap_or_else(|| row.clone());
        self.note(row);
        current
    }

    /// Whether the next step of an execution is to be written into the store: its word is the
    /// store's, and that answers. Waits out a release.
    pub(super) async fn asks_store(&self, id: ExecutionId) -> bool {
        loop {
            {
                let book = self.book();
                match book.kept.get(&id).map(|kept| kept.place) {
                    Some(Place::Releasing) => {}
                    Some(Place::File | Place::Aside) => return false,
                    Some(Place::Store) => return book.outage.is_none(),
                    None => return true,
                }
            }
            tokio::time::sleep(SOON).await;
        }
    }

    /// Notes an unfinished execution that the store has.
    pub(super) fn note(&self, row: Execution) {
        if !row.state.is_final() && row.decision.is_protective() {
            let mut book = self.book();
            book.kept.entry(row.id).or_insert_with(|| Kept::of_row(row));
        }
    }

    /// Notes a step that the store has taken.
    pub(super) fn stored(&self, id: ExecutionId, step: impl FnOnce(&mut Kept)) {
        let mut book = self.book();
        let Some(kept) = book.kept.get_mut(&id) else {
            return;
        };
        step(kept);
        if kept.row.state.is_final() {
            book.kept.remove(&id);
        }
    }

    /// Notes what is armed, as the store says.
    pub(super) fn armed(&self, key: ArmingKey, opened: OpenedEpisode, protects: Option<bool>) {
        let mut book = self.book();
        let known = book.armed(&key);
        let protected = known.is_some_and(|known| known.protects);
        // An answer may be older than what is known: episodes only go forward.
        let opened = match known {
            Some(known) if progress(known.opened) > progress(opened) => known.opened,
            _ => opened,
        };
        let armed = Armed {
            opened,
            protects: protects.unwrap_or(protected),
            only_here: false,
        };
        book.arm(key, armed);
    }
}

/// How far an arming has come: its episode, and whether that has fired.
fn progress(opened: OpenedEpisode) -> (i64, bool) {
    match opened {
        OpenedEpisode::Armed { episode, .. } => (episode, false),
        OpenedEpisode::Fired { episode, .. } => (episode, true),
    }
}

fn unavailable(error: &NotWritten) -> JournalError {
    StoreError::unavailable(format!("it does not answer, and {error}")).into()
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a new generation of the file begins with.
fn payloads(book: &Book) -> Vec<Vec<u8>> {
    let mut kept: Vec<_> = book
        .kept
        .values()
        .filter(|kept| kept.place != Place::Store)
        .collect();
    kept.sort_by_key(|kept| kept.version);
    let kept = kept.into_iter();
    let intents = kept.map(|kept| Record::Stands(vec![kept.intent()]));
    let records = intents.chain(book.attempts.records());
    records.map(|record| record.payload()).collect()
}

/// Whether an error says that the store does not answer, rather than what it answers.
pub(super) fn is_silence(error: &JournalError) -> bool {
    matches!(
        error,
        JournalError::Store(StoreError::Unavailable { .. } | StoreError::Busy { .. })
    )
}
