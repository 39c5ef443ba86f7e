//! What is taken over from the file: after a death, and beside another machine's.

use super::*;

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
