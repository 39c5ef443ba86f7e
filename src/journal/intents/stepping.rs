//! Steps in the file: in the book first, then durable, undone where they cannot be.

use super::super::JournalError;
use super::book::{Book, Kept, Place};
use super::record::Record;
use super::writer::NotWritten;
use super::{Intents, unavailable};
use crate::domain::ids::ExecutionId;

/// Name of a failpoint.
const KEPT: &str = "intents.kept";

/// What a step came to.
pub(in crate::journal) enum Stepped<T> {
    /// It changed the execution: this is to be written.
    Changed(T),
    /// Nothing is to be written.
    Same(T),
}

impl Intents {
    /// Takes a step of an execution in the file. What cannot be written is undone, unless it may go
    /// on without standing anywhere.
    pub(in crate::journal) async fn step<T>(
        &self,
        id: ExecutionId,
        may_go_on: bool,
        step: impl FnOnce(&mut Kept) -> Result<Stepped<T>, JournalError>,
    ) -> Result<T, JournalError> {
        let (before, version, found, written) = {
            let mut book = self.book();
            let version = book.next_version();
            let kept = book.get(id)?;
            let before = kept.clone();
            let mut next = kept.clone();
            let found = match step(&mut next)? {
                Stepped::Same(found) => return Ok(found),
                Stepped::Changed(found) => found,
            };
            let adopted = next.place == Place::Store;
            next.version = version;
            next.since.get_or_insert(self.0.clock.mono());
            if next.place != Place::Aside {
                next.place = Place::File;
            }
            let record = Record::Stands(vec![next.intent()]);
            *kept = next;
            count(&mut book, adopted);
            // Under the lock: the order in the file is that of the versions.
            let written = self.0.writer.append(record.payload());
            (before, version, found, written)
        };
        let Err(error) = written.stands().await else {
            crate::failpoint::pass(KEPT, "");
            return Ok(found);
        };
        if may_go_on {
            tell_unwritten(&error, id);
            return Ok(found);
        }
        let mut book = self.book();
        if let Ok(kept) = book.get(id)
            && kept.version == version
        {
            *kept = before;
        }
        self.take_back(&mut book, id);
        Err(unavailable(&error))
    }

    /// What could not be written may be written late: nobody goes by it then.
    fn take_back(&self, book: &mut Book, id: ExecutionId) {
        let version = book.next_version();
        let record = match book.kept.get_mut(&id) {
            Some(kept) if kept.place != Place::Store => {
                kept.version = version;
                Record::Stands(vec![kept.intent()])
            }
            _ => Record::Released(id, version),
        };
        drop(self.0.writer.append(record.payload()));
    }

    /// Writes down new executions and what else changes with them: all or nothing.
    pub(super) async fn add<T>(
        &self,
        may_go_on: bool,
        add: impl FnOnce(&mut Book) -> Result<(T, Vec<ExecutionId>), JournalError>,
        undo: impl FnOnce(&mut Book),
    ) -> Result<T, JournalError> {
        let (found, ids, written) = {
            let mut book = self.book();
            let (found, ids) = add(&mut book)?;
            if ids.is_empty() {
                return Ok(found);
            }
            let mut intents = vec![];
            for id in &ids {
                let version = book.next_version();
                let kept = book.get(*id)?;
                let adopted = kept.place == Place::Store;
                kept.version = version;
                kept.place = Place::File;
                kept.since.get_or_insert(self.0.clock.mono());
                intents.push(kept.intent());
                count(&mut book, adopted);
            }
            let written = self.0.writer.append(Record::Stands(intents).payload());
            (found, ids, written)
        };
        let Err(error) = written.stands().await else {
            crate::failpoint::pass(KEPT, "");
            return Ok(found);
        };
        if may_go_on {
            ids.iter().for_each(|id| tell_unwritten(&error, *id));
            return Ok(found);
        }
        let mut book = self.book();
        undo(&mut book);
        ids.iter().for_each(|id| self.take_back(&mut book, *id));
        Err(unavailable(&error))
    }

    /// Lets go of what the store has taken over, if nothing has changed since: then the release
    /// stands when this returns true.
    pub(super) async fn release(&self, taken: &Kept) -> Result<bool, NotWritten> {
        let id = taken.row.id;
        let written = {
            let mut book = self.book();
            match book.get(id) {
                Ok(kept) if kept.version == taken.version => kept.place = Place::Releasing,
                _ => return Ok(false),
            }
            let record = Record::Released(id, taken.version);
            self.0.writer.append(record.payload())
        };
        let released = written.stands().await;
        let mut book = self.book();
        let Ok(kept) = book.get(id) else {
            return Ok(true);
        };
        match released {
            Ok(()) if kept.row.state.is_final() => {
                book.kept.remove(&id);
                Ok(true)
            }
            Ok(()) => {
                kept.place = Place::Store;
                kept.born_here = false;
                kept.since = None;
                Ok(true)
            }
            Err(error) => {
                kept.place = Place::File;
                Err(error)
            }
        }
    }
}

fn count(book: &mut Book, adopted: bool) {
    if let (true, Some(outage)) = (adopted, &mut book.outage) {
        outage.kept += 1;
    }
}

fn tell_unwritten(error: &NotWritten, id: ExecutionId) {
    tracing::error!(
        event = "journal.unwritten", execution = %id, %error,
        "neither the store nor the file of intents takes it: a close is sent all the same"
    );
}
