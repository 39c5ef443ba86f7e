//! Without the store: the file of intents, and writes that land late.

mod held;
mod late;
mod left;
mod unheard;

use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use super::*;
use crate::clock::Clock;

const AFTER: Duration = Duration::from_millis(100);
const TERMS: IntentTerms = IntentTerms {
    after: AFTER,
    kib: 64,
};

struct Scene {
    set: Set,
    journal: Journal,
}

/// Another process's lock on the database.
struct Lock(DatabaseConnection);

impl Lock {
    async fn take(path: &Path) -> Self {
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", path.display()));
        options.max_connections(1).sqlx_logging(false);
        let other = Database::connect(options).await.unwrap();
        other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        Self(other)
    }

    async fn release(self) {
        self.0.execute_unprepared("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

impl Scene {
    async fn set() -> Self {
        let set = Set::with(Fixture::in_a_file().await).await;
        let journal = Self::journal(&set, set.journal.clone()).await;
        Self { set, journal }
    }

    async fn journal(set: &Set, journal: Journal) -> Journal {
        let folder = set.fixture.folder.path();
        let opened = journal.with_intents(folder, TERMS, Clock::start()).await;
        opened.unwrap()
    }

    async fn lock(&self) -> Lock {
        Lock::take(&self.set.fixture.path()).await
    }

    async fn open(&self, n: u128, episode: i64) -> OpenedEpisode {
        let id = &self.set.automation.id;
        let opened = self
            .journal
            .open_episode(id, position(n), 1, episode, at(10), true);
        opened.await.unwrap()
    }

    async fn fire(&self, id: u128, n: u128, episode: i64) -> Result<FireResult, JournalError> {
        let new = self.set.decided(id, n, episode);
        self.journal.fire(new, Limits::default(), at(10)).await
    }

    async fn begin(&self, id: u128, action: Action) -> Result<Began, JournalError> {
        let id = execution(id);
        self.journal
            .begin_sending(id, action, Some(before()), at(11))
            .await
    }

    async fn done(&self, id: u128) -> Result<Done, JournalError> {
        let id = execution(id);
        let entry = self.set.entry(id);
        self.journal.done(id, json!({}), entry, at(12)).await
    }

    /// As the store says, whatever the file says.
    async fn stored(&self, id: u128) -> Option<Execution> {
        self.set.journal.execution(execution(id)).await.ok()
    }

    async fn until_stored(&self, id: u128, state: State) {
        for _ in 0..2000 {
            let stored = self.stored(id).await;
            if stored.is_some_and(|row| row.state == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{id} never {state}: {:?}", self.stored(id).await);
    }

    async fn said(&self, id: u128) -> State {
        self.journal.execution(execution(id)).await.unwrap().state
    }

    async fn recover(&self) -> Result<(), JournalError> {
        let intents = self.journal.intents.as_ref().unwrap();
        self.journal.recover(intents).await
    }

    async fn entries(&self) -> usize {
        let filter = AuditFilter::default();
        self.set
            .journal
            .audit_entries(&filter)
            .await
            .unwrap()
            .rows
            .len()
    }

    fn waiting(&self) -> usize {
        self.journal.standing().unwrap().waiting
    }
}

const SENT: Result<Began, JournalError> = Ok(Began::Sending { attempt: 1 });
