//! Without the store: the file of intents, and writes that land late.

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
            .open_episode(id, position(n), 1, episode, at(10));
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

#[tokio::test]
async fn a_firing_that_lands_late_is_the_same_execution() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    let lock = scene.lock().await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    assert_eq!(scene.stored(1).await, None);
    // No other of its trigger, whoever asks, and however old what he was told is.
    let key = (scene.set.automation.id.clone(), position(1), 1);
    let old = OpenedEpisode::Armed {
        episode: 1,
        from: at(10),
    };
    let intents = scene.journal.intents.as_ref().unwrap();
    intents.armed(key, old, None);
    let other = scene.fire(2, 1, 1).await;
    assert_eq!(other, Ok(FireResult::FiredBefore(execution(1))));
    assert_eq!(scene.begin(1, ADD).await, SENT);
    lock.release().await;
    scene.until_stored(1, State::Planned).await;
    assert_eq!(scene.said(1).await, State::Sending);
    let again = scene.begin(1, ADD).await;
    assert_eq!(again, Ok(Began::Refused(Refusal::AlreadySending)));
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    scene.recover().await.unwrap();
    let row = scene.stored(1).await.unwrap();
    assert_eq!((row.state, row.attempts), (State::Done, 1));
    assert_eq!(scene.entries().await, 1);
    assert_eq!(
        (scene.waiting(), scene.journal.standing().unwrap().outage),
        (0, None)
    );
    let stands = scene.open(1, 2).await;
    assert_eq!(
        stands,
        OpenedEpisode::Armed {
            episode: 2,
            from: at(10)
        }
    );
}

#[tokio::test]
async fn a_sending_that_lands_late_is_the_same_attempt() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let lock = scene.lock().await;
    assert_eq!(scene.begin(1, ADD).await, SENT);
    lock.release().await;
    scene.until_stored(1, State::Sending).await;
    scene.recover().await.unwrap();
    let row = scene.stored(1).await.unwrap();
    assert_eq!((row.state, row.attempts), (State::Sending, 1));
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    assert_eq!(scene.entries().await, 1);
}

#[tokio::test]
async fn an_end_that_lands_late_has_one_entry() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    assert_eq!(scene.begin(1, ADD).await, SENT);
    let lock = scene.lock().await;
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    // The next episode needs no store.
    let armed = OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    };
    assert_eq!(scene.open(1, 2).await, armed);
    assert_eq!(scene.fire(2, 1, 2).await, Ok(FireResult::Fired));
    lock.release().await;
    scene.until_stored(1, State::Done).await;
    scene.recover().await.unwrap();
    assert_eq!(scene.entries().await, 1);
    let intents = scene.journal.intents.as_ref().unwrap();
    assert_eq!(intents.in_file(execution(1)), None, "refused by the store");
    assert_eq!(scene.stored(2).await.unwrap().state, State::Planned);
    let fired = OpenedEpisode::Fired {
        episode: 2,
        execution: execution(2),
    };
    assert_eq!(scene.set.open(1, 3).await, fired);
}

/// Not only in memory: what was armed without the store and has not fired is armed in it.
#[tokio::test]
async fn an_episode_that_was_armed_without_the_store_is_armed_in_it_when_it_is_back() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    assert_eq!(scene.begin(1, ADD).await, SENT);
    let lock = scene.lock().await;
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    let armed = OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    };
    assert_eq!(scene.open(1, 2).await, armed);
    // Of a position that nobody has armed, nothing is known.
    let id = &scene.set.automation.id;
    let hurried = scene
        .journal
        .hurried(scene.journal.intents.as_ref().unwrap());
    assert!(
        hurried
            .open_episode(id, position(9), 1, 1, at(10))
            .await
            .is_err()
    );
    lock.release().await;
    scene.recover().await.unwrap();
    assert_eq!(scene.set.open(1, 2).await, armed);
    assert_eq!(scene.fire(2, 1, 2).await, Ok(FireResult::Fired));
    assert_eq!(scene.stored(2).await.unwrap().state, State::Planned);
}

#[tokio::test]
async fn what_an_earlier_process_has_left_is_taken_over_however_often() {
    let scene = Scene::set().await;
    for n in 1..=3 {
        scene.open(n, 1).await;
    }
    let lock = scene.lock().await;
    for n in 1..=3 {
        assert_eq!(scene.fire(n, n, 1).await, Ok(FireResult::Fired));
    }
    assert_eq!(scene.begin(2, ADD).await, SENT);
    assert_eq!(scene.begin(3, ADD).await, SENT);
    assert_eq!(scene.done(3).await, Ok(Done::Recorded));
    let file = scene.set.fixture.folder.path().join("intents");
    let left = std::fs::read(&file).unwrap();
    lock.release().await;
    scene.until_stored(1, State::Planned).await;
    for _ in 0..3 {
        std::fs::write(&file, &left).unwrap();
        let journal = Scene::journal(&scene.set, scene.set.journal.clone()).await;
        let unfinished = journal.unfinished().await.unwrap().rows;
        let states: Vec<_> = unfinished.iter().map(|row| (row.id, row.state)).collect();
        let expected = [
            (execution(1), State::Planned),
            (execution(2), State::Sending),
        ];
        assert_eq!(states, expected);
        assert_eq!(scene.stored(3).await.unwrap().state, State::Done);
        assert_eq!(scene.entries().await, 1);
    }
    for n in 1..=3 {
        let fired = OpenedEpisode::Fired {
            episode: 1,
            execution: execution(n),
        };
        assert_eq!(scene.set.open(n, 1).await, fired);
    }
}

/// As after another machine has taken over that did not have the file.
#[tokio::test]
async fn an_intent_whose_trigger_is_anothers_stands_beside_it_if_it_was_sent() {
    let scene = Scene::set().await;
    for n in 1..=2 {
        scene.open(n, 1).await;
    }
    let lock = scene.lock().await;
    // Not asked in vain, so that no write of theirs is under way.
    let silent = JournalError::from(StoreError::unavailable("as after an earlier one"));
    scene
        .journal
        .intents
        .as_ref()
        .unwrap()
        .begin_outage(&silent);
    for n in 1..=2 {
        assert_eq!(scene.fire(n, n, 1).await, Ok(FireResult::Fired));
    }
    assert_eq!(scene.begin(2, ADD).await, SENT);
    assert_eq!(scene.done(2).await, Ok(Done::Recorded));
    lock.release().await;
    for n in 1..=2 {
        let other = scene.set.decided(n + 10, n, 1);
        let fired = scene
            .set
            .journal
            .fire(other, Limits::default(), at(11))
            .await;
        assert_eq!(fired, Ok(FireResult::Fired));
    }
    scene.recover().await.unwrap();
    assert_eq!(scene.stored(1).await, None);
    let beside = scene.stored(2).await.unwrap();
    assert_eq!(beside.state, State::Done);
    assert!(
        beside.trigger_key.contains(":beside:"),
        "{}",
        beside.trigger_key
    );
    assert_eq!(scene.entries().await, 1);
    let fired = OpenedEpisode::Fired {
        episode: 1,
        execution: execution(12),
    };
    assert_eq!(scene.set.open(2, 1).await, fired);
}

/// A folder that is not there takes no file.
#[tokio::test]
async fn where_neither_takes_anything_only_a_close_is_let_out() {
    let set = Set::with(Fixture::in_a_file().await).await;
    let missing = set.fixture.folder.path().join("missing");
    let journal = set.journal.clone();
    let journal = journal.with_intents(&missing, TERMS, Clock::start()).await;
    let scene = Scene {
        journal: journal.unwrap(),
        set,
    };
    for n in 1..=3 {
        scene.open(n, 1).await;
    }
    assert_eq!(scene.fire(3, 3, 1).await, Ok(FireResult::Fired));
    let lock = scene.lock().await;
    assert!(scene.fire(1, 1, 1).await.is_err());
    assert!(scene.begin(3, ADD).await.is_err());
    assert_eq!(scene.begin(3, Action::ClosePosition).await, SENT);
    assert!(scene.done(3).await.is_err());
    let mut closing = scene.set.decided(2, 2, 1);
    closing.action = Action::ClosePosition;
    let fired = scene.journal.fire(closing, Limits::default(), at(10)).await;
    assert_eq!(fired, Ok(FireResult::Fired));
    assert_eq!(scene.begin(2, Action::ClosePosition).await, SENT);
    lock.release().await;
    assert!(scene.recover().await.is_err(), "no release can be written");
    std::fs::create_dir(&missing).unwrap();
    scene.recover().await.unwrap();
    assert_eq!(scene.done(3).await, Ok(Done::Recorded));
    assert_eq!(scene.done(2).await, Ok(Done::Recorded));
    // The first was given up, and its write has landed late: nothing of it was sent.
    let stands = FireResult::FiredBefore(execution(1));
    assert_eq!(scene.fire(4, 1, 1).await, Ok(stands));
    assert_eq!(scene.stored(1).await.unwrap().state, State::Planned);
}

#[tokio::test]
async fn what_is_known_to_hold_back_holds_back_without_the_store_too() {
    let scene = Scene::set().await;
    for n in 1..=4 {
        scene.open(n, 1).await;
    }
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let (store, account) = (&scene.set.fixture.store, &scene.set.account.id);
    let intents = scene.journal.intents.clone().unwrap();
    let reach = Reach::Account(account.clone());
    store
        .kill_switch_on(&reach, false, None, at(3))
        .await
        .unwrap();
    scene.journal.learn(&intents).await.unwrap();
    let lock = scene.lock().await;
    assert_eq!(scene.fire(2, 2, 1).await, Err(JournalError::Stopped));
    let held = Began::Refused(Refusal::Skip(SkipReason::KillSwitch));
    assert_eq!(scene.begin(1, ADD).await, Ok(held));
    lock.release().await;
    scene.recover().await.unwrap();

    store.kill_switch_off(&reach, at(4)).await.unwrap();
    store
        .pause_account(account, None, "operator", at(4))
        .await
        .unwrap();
    scene.journal.learn(&intents).await.unwrap();
    let lock = scene.lock().await;
    assert_eq!(scene.fire(2, 2, 1).await, Err(JournalError::Paused));
    lock.release().await;
    scene.recover().await.unwrap();

    store.resume_account(account, at(5)).await.unwrap();
    let clock = Clock::start();
    let lock = {
        scene.journal.learn(&intents).await.unwrap();
        scene.lock().await
    };
    let today = clock.utc();
    let once = Limits {
        per_day: Some(1),
        in_all: None,
        falls_back: false,
    };
    let fire = |id, n| {
        let new = scene.set.decided(id, n, 1);
        scene.journal.fire(new, once, today)
    };
    assert_eq!(fire(2, 2).await, Ok(FireResult::Fired));
    let limited = fire(3, 3).await;
    assert!(
        matches!(limited, Ok(FireResult::LimitReached { .. })),
        "{limited:?}"
    );
    lock.release().await;
    scene.recover().await.unwrap();
}

/// Once the right to trade may be another's, only what closes goes on without the store; and where
/// the store answers that it is another's, that does not either.
#[tokio::test]
async fn in_doubt_only_closes_are_let_out() {
    let set = Set::with(Fixture::in_a_file().await).await;
    let terms = LeaseTerms {
        renew: Duration::from_millis(1),
        stop_sending: Duration::from_millis(2),
        expire: Duration::from_millis(3),
    };
    let (clock, epoch) = (Clock::start(), set.journal.epoch());
    let lease = Lease::new(epoch, terms, clock, Duration::ZERO);
    tokio::time::sleep(terms.expire).await;
    let leased = Journal::leased(set.fixture.store.clone(), lease);
    let journal = Scene::journal(&set, leased).await;
    let scene = Scene { journal, set };
    for n in 1..=3 {
        scene.open(n, 1).await;
    }
    for n in 1..=2 {
        assert_eq!(scene.fire(n, n, 1).await, Ok(FireResult::Fired));
    }
    let lock = scene.lock().await;
    assert!(scene.begin(1, ADD).await.is_err());
    assert_eq!(scene.begin(1, Action::ClosePosition).await, SENT);
    assert!(scene.fire(3, 3, 1).await.is_err(), "margin would be added");
    lock.release().await;
    scene.recover().await.unwrap();
    let later = scene.set.fixture.store.claim_ownership("second", at(20));
    later.await.unwrap();
    let refused = scene.begin(2, Action::ClosePosition).await;
    assert_eq!(
        refused,
        Ok(Began::Refused(Refusal::Skip(SkipReason::NotOwner)))
    );
}

#[tokio::test]
async fn what_is_done_in_anothers_place_stands_in_the_file_with_it() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let lock = scene.lock().await;
    let instead = |id| FallingBack {
        id: execution(id),
        action: Action::ClosePosition,
        decision: Decision {
            fallback: true,
            ..scene.set.decided(1, 1, 1).decision
        },
    };
    let fall = |id| {
        let evidence = json!({ "balance": 0 });
        scene
            .journal
            .fall_back(execution(1), "no_balance", evidence, instead(id), at(12))
    };
    assert_eq!(fall(2).await, Ok(execution(2)));
    assert_eq!(fall(3).await, Ok(execution(2)));
    assert_eq!(scene.said(1).await, State::Failed);
    assert_eq!(scene.begin(2, Action::ClosePosition).await, SENT);
    lock.release().await;
    scene.recover().await.unwrap();
    assert_eq!(scene.stored(1).await.unwrap().state, State::Failed);
    assert_eq!(scene.stored(2).await.unwrap().state, State::Sending);
    let fired = OpenedEpisode::Fired {
        episode: 1,
        execution: execution(2),
    };
    assert_eq!(scene.set.open(1, 1).await, fired);
    assert_eq!(scene.done(2).await, Ok(Done::Recorded));
}

/// More than a half of the file holds: what has been taken over makes room.
#[tokio::test]
async fn the_file_is_written_anew_where_it_is_full() {
    let scene = Scene::set().await;
    for round in 0..40 {
        scene.open(round, 1).await;
        let lock = scene.lock().await;
        assert_eq!(scene.fire(round, round, 1).await, Ok(FireResult::Fired));
        assert_eq!(scene.begin(round, ADD).await, SENT);
        assert_eq!(scene.done(round).await, Ok(Done::Recorded));
        lock.release().await;
        scene.recover().await.unwrap();
    }
    assert_eq!(scene.entries().await, 40);
}
