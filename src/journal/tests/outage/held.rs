//! What is not let out without the store, and what stands with what.

use super::*;

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
