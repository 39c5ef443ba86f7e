//! What the store has never heard of: positions that are met, sockets that are opened, and limits that
//! are reached while it is away.

use super::*;
use crate::domain::execution::Reopening;
use crate::domain::position::Side;
use crate::domain::protection::{DailyLimit, Own, OwnProtections, Protections, day_ends};
use crate::domain::units::Usd;
use crate::store::SocketAttempt;

const ARMED: OpenedEpisode = OpenedEpisode::Armed {
    episode: 1,
    from: chrono::DateTime::UNIX_EPOCH,
};

fn fired(episode: i64, by: u128) -> OpenedEpisode {
    OpenedEpisode::Fired {
        episode,
        execution: execution(by),
    }
}

impl Scene {
    /// Away, and known to be: nobody waits for an answer.
    async fn away(&self) -> Lock {
        let lock = self.lock().await;
        let silent = JournalError::from(StoreError::unavailable("as after an earlier one"));
        self.journal.intents.as_ref().unwrap().begin_outage(&silent);
        lock
    }

    async fn open_of(&self, n: u128, episode: i64, protects: bool) -> Option<OpenedEpisode> {
        let id = &self.set.automation.id;
        let quickly = Journal {
            store: self.journal.store.with_patience(AFTER),
            ..self.journal.clone()
        };
        let (position, from) = (position(n), chrono::DateTime::UNIX_EPOCH);
        let opening = quickly.open_episode(id, position, 1, episode, from, protects);
        opening.await.ok()
    }

    async fn note(&self, ago: Duration) -> Result<(), JournalError> {
        let attempt = SocketAttempt {
            host: "exchange:443".to_owned(),
            egress: None,
            login: true,
            made_at: at(10_000) - ago,
        };
        let hour = Duration::from_secs(3600);
        self.journal.note_attempt(attempt, hour).await
    }

    async fn noted(&self) -> usize {
        self.set
            .fixture
            .store
            .socket_attempts()
            .await
            .unwrap()
            .len()
    }
}

#[tokio::test]
async fn a_position_that_is_met_without_the_store_is_guarded_once() {
    let scene = Scene::set().await;
    let lock = scene.away().await;
    assert_eq!(scene.open_of(1, 1, true).await, Some(ARMED));
    assert_eq!(scene.open_of(1, 1, true).await, Some(ARMED));
    assert_eq!(scene.open_of(2, 1, true).await, Some(ARMED));
    assert_eq!(
        scene.open_of(3, 2, true).await,
        None,
        "no second before a first"
    );
    assert_eq!(
        scene.open_of(3, 1, false).await,
        None,
        "it does not protect"
    );
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let again = FireResult::FiredBefore(execution(1));
    assert_eq!(scene.fire(9, 1, 1).await, Ok(again));
    assert_eq!(scene.begin(1, ADD).await, SENT);
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    lock.release().await;
    scene.recover().await.unwrap();
    assert_eq!(scene.stored(1).await.unwrap().state, State::Done);
    assert_eq!(scene.set.open(1, 1).await, fired(1, 1));
    // What has not fired is armed in the store from then on.
    assert_eq!(scene.set.open(2, 1).await, ARMED);
    assert_eq!(scene.fire(2, 2, 1).await, Ok(FireResult::Fired));
    assert_eq!(scene.stored(2).await.unwrap().state, State::Planned);
}

/// This process has met none of these positions; the one before has.
#[tokio::test]
async fn what_an_earlier_process_has_fired_is_not_armed_anew_without_the_store() {
    let earlier = Scene::set().await;
    for n in 1..=2 {
        earlier.open(n, 1).await;
    }
    assert_eq!(earlier.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let journal = Scene::journal(&earlier.set, earlier.set.journal.clone()).await;
    let scene = Scene { journal, ..earlier };
    let lock = scene.away().await;
    assert_eq!(scene.open_of(1, 1, true).await, Some(fired(1, 1)));
    let twice = scene.fire(9, 1, 1).await;
    assert_eq!(twice, Ok(FireResult::FiredBefore(execution(1))));
    let armed = OpenedEpisode::Armed {
        episode: 1,
        from: at(10),
    };
    assert_eq!(scene.open_of(2, 1, true).await, Some(armed));
    lock.release().await;
    scene.recover().await.unwrap();
}

/// A trade that was reopened waits for the end of what reopened it, also where nobody has told the
/// store of it.
#[tokio::test]
async fn who_takes_anothers_place_without_the_store_inherits_what_has_fired() {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    let reopen = Action::Reopen(Reopening {
        side: Side::Buy,
        quantity: Usd(5),
        leverage: 10.0,
        stoploss: None,
        trailing_distance: None,
        takeprofit: None,
        closed_at_price: Price::from_usd(60_000.0).unwrap(),
        closed_at: at(10),
        left_out: Default::default(),
    });
    let lock = scene.away().await;
    assert_eq!(scene.begin(1, reopen).await, SENT);
    let succeeded = scene.journal.succeed(execution(1), position(2), at(11));
    assert_eq!(succeeded.await, Ok(Some(position(1))));
    assert_eq!(scene.open_of(2, 1, true).await, Some(fired(1, 1)));
    let early = scene.open_of(2, 2, true).await;
    assert_eq!(early, Some(fired(1, 1)), "what reopened it goes on");
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    assert!(matches!(
        scene.open_of(2, 2, true).await,
        Some(OpenedEpisode::Armed { episode: 2, .. })
    ));
    lock.release().await;
    scene.recover().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_is_opened_without_the_store_is_counted_by_the_next_process() {
    let scene = Scene::set().await;
    scene.note(Duration::ZERO).await.unwrap();
    let lock = scene.away().await;
    for _ in 0..2 {
        scene.note(Duration::ZERO).await.unwrap();
    }
    let file = scene.set.fixture.folder.path().join("intents");
    let left = std::fs::read(&file).unwrap();
    lock.release().await;
    assert_eq!(scene.noted().await, 1);
    // Killed here, it is taken over at the next start.
    let successor = Scene::journal(&scene.set, scene.set.journal.clone()).await;
    assert_eq!(scene.noted().await, 3);
    drop(successor);
    assert_eq!(left_in(scene.set.fixture.folder.path()), Ok(0));
    std::fs::write(&file, &left).unwrap();
    // Or it lives to see the store again.
    scene.recover().await.unwrap();
    assert_eq!(
        scene.noted().await,
        5,
        "counted twice, rather than not at all"
    );
    scene.recover().await.unwrap();
    assert_eq!(scene.noted().await, 5);
}

/// The file is for what protects: attempts may fill a share of it.
#[tokio::test]
async fn sockets_leave_room_in_the_file() {
    let scene = Scene::set().await;
    let _lock = scene.away().await;
    let mut made = 0;
    while scene.note(Duration::ZERO).await.is_ok() {
        made += 1;
    }
    assert_eq!(made, 32, "a quarter of a half of 64 KiB");
    assert_eq!(scene.open_of(1, 1, true).await, Some(ARMED));
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
}

#[tokio::test]
async fn daily_limits_hold_without_the_store() {
    let set = Set::with(Fixture::in_a_file().await).await;
    let limited = set.journal.clone().protecting(Protections {
        sats_per_day: Some(Sats(1100)),
        ..Protections::default()
    });
    let journal = Scene::journal(&set, limited).await;
    let scene = Scene { journal, set };
    let now = Clock::start().utc();
    for n in 1..=4 {
        scene.open(n, 1).await;
    }
    let fire = |id, action, limits| {
        let new = NewExecution {
            action,
            ..scene.set.decided(id, id, 1)
        };
        scene.journal.fire(new, limits, now)
    };
    let begin = |id| {
        let id = execution(id);
        scene.journal.begin_sending(id, ADD, Some(before()), now)
    };
    let freely = Limits::default();
    assert_eq!(fire(1, ADD, freely).await, Ok(FireResult::Fired));
    assert_eq!(begin(1).await, SENT);
    let intents = scene.journal.intents.clone().unwrap();
    scene.journal.learn(&intents).await.unwrap();
    let lock = scene.away().await;
    // 500 were sent before, 500 are now, and 100 are left.
    assert_eq!(fire(2, ADD, freely).await, Ok(FireResult::Fired));
    assert_eq!(begin(2).await, SENT);
    let reached = FireResult::ProtectionReached {
        limit: DailyLimit::DailySats,
        until: day_ends(now),
    };
    assert_eq!(fire(3, ADD, freely).await, Ok(reached));
    // What the rule does instead is found when it is to be sent.
    let falls_back = Limits {
        falls_back: true,
        ..freely
    };
    assert_eq!(fire(3, ADD, falls_back).await, Ok(FireResult::Fired));
    let held = Began::Refused(Refusal::Skip(SkipReason::DailySats));
    assert_eq!(begin(3).await, Ok(held));
    let close = fire(4, Action::ClosePosition, freely).await;
    assert_eq!(close, Ok(FireResult::Fired), "closes are never held");
    lock.release().await;
    scene.recover().await.unwrap();
    let own = OwnProtections {
        sats_per_day: Own::Off,
        executions_per_day: Own::Most(1),
        ..OwnProtections::default()
    };
    let (store, account) = (&scene.set.fixture.store, &scene.set.account.id);
    store.protect(account, own).await.unwrap();
    scene.journal.learn(&intents).await.unwrap();
    let _lock = scene.away().await;
    assert_eq!(scene.open_of(5, 1, true).await, Some(ARMED));
    let reached = FireResult::ProtectionReached {
        limit: DailyLimit::DailyExecutions,
        until: day_ends(now),
    };
    assert_eq!(fire(5, ADD, freely).await, Ok(reached));
}
