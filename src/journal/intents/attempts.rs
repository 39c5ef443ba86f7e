//! Attempts to open sockets while the store does not answer: each stands in the file before it is
//! made, and goes into the store when that is back, so that no process opens more than it may.

use std::time::Duration;

use super::super::{Journal, JournalError};
use super::record::Record;
use super::{HALVES, Intents, KIB, is_silence, unavailable};
use crate::store::{SocketAttempt, StoreError};

/// Of a half of the file, the share (one in so many) that attempts may take: the rest is for what
/// protects.
const SHARE: u64 = 4;
/// An attempt takes no more bytes than this.
const MOST_BYTES: u64 = 256;
/// What is told late makes the store forget nothing that it would not have forgotten by itself.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Those that the store has not heard of, by the versions under which they stand in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Vec<(u64, SocketAttempt)>);

impl Attempts {
    pub(super) fn add(&mut self, version: u64, attempt: SocketAttempt) {
        self.0.push((version, attempt));
    }

    /// The store has heard of all up to this one.
    pub(super) fn noted(&mut self, version: u64) {
        self.0.retain(|(number, _)| *number > version);
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = (u64, SocketAttempt)> {
        self.0.clone().into_iter()
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.0.iter().map(|(version, _)| *version).max()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.waiting()
            .map(|(version, attempt)| Record::Attempted(version, attempt))
    }

    fn take_back(&mut self, version: u64) {
        self.0.retain(|(number, _)| *number != version);
    }

    /// Those that the exchange counts no more are forgotten.
    fn forget_before(&mut self, time: chrono::DateTime<chrono::Utc>) {
        self.0.retain(|(_, attempt)| attempt.made_at >= time);
    }
}

impl Journal {
    /// Writes an attempt to open a socket down before it is made: in the store, or while that does
    /// not answer in the file of intents. Those of more than `kept` ago are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`]: then it may stand or not, and is not to be
    /// made.
    pub async fn note_attempt(
        &self,
        attempt: SocketAttempt,
        kept: Duration,
    ) -> Result<(), JournalError> {
        let stored = |attempt| async move {
            let noting = self.store.note_socket_attempt(attempt, kept).await;
            noting.map_err(JournalError::from)
        };
        let Some(intents) = &self.intents else {
            return stored(attempt).await;
        };
        if !intents.is_outage() {
            match stored(attempt.clone()).await {
                Err(error) if is_silence(&error) => intents.begin_outage(&error),
                answered => return answered,
            }
        }
        intents.attempt(attempt, kept).await
    }

    /// Tells the store of all that it has not heard of.
    pub(super) async fn note_all(&self, intents: &Intents) -> Result<(), JournalError> {
        let waiting: Vec<_> = intents.book().attempts.waiting().collect();
        for (version, attempt) in waiting {
            self.note_late(attempt).await?;
            let written = {
                let mut book = intents.book();
                book.attempts.noted(version);
                intents.0.writer.append(Record::Noted(version).payload())
            };
            // One that is told twice is counted twice, which harms nobody.
            if let Err(error) = written.stands().await {
                return Err(unavailable(&error));
            }
        }
        Ok(())
    }

    pub(super) async fn note_late(&self, attempt: SocketAttempt) -> Result<(), JournalError> {
        let noting = self.store.note_socket_attempt(attempt, FORGOTTEN_AFTER);
        Ok(noting.await?)
    }
}

impl Intents {
    async fn attempt(&self, attempt: SocketAttempt, kept: Duration) -> Result<(), JournalError> {
        let most = self.terms().kib * KIB / HALVES / SHARE / MOST_BYTES;
        let (version, written) = {
            let mut book = self.book();
            book.attempts.forget_before(attempt.made_at - kept);
            if book.attempts.0.len() as u64 >= most {
                let full = "the store does not answer, and the file of intents holds as many \
                            attempts to open sockets as it may: raise journal.intents_kib";
                return Err(StoreError::unavailable(full).into());
            }
            let version = book.next_version();
            book.attempts.add(version, attempt.clone());
            let record = Record::Attempted(version, attempt);
            (version, self.0.writer.append(record.payload()))
        };
        let Err(error) = written.stands().await else {
            return Ok(());
        };
        self.book().attempts.take_back(version);
        Err(unavailable(&error))
    }
}
