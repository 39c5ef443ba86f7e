//! Writes that were given up and land all the same.

use super::*;

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

/// The first episode has fired and is done, the second is armed, and the store knows neither: it is
/// locked.
async fn armed_without_the_store() -> (Scene, Lock) {
    let scene = Scene::set().await;
    scene.open(1, 1).await;
    assert_eq!(scene.fire(1, 1, 1).await, Ok(FireResult::Fired));
    assert_eq!(scene.begin(1, ADD).await, SENT);
    let lock = scene.lock().await;
    assert_eq!(scene.done(1).await, Ok(Done::Recorded));
    assert_eq!(scene.open(1, 2).await, armed_anew());
    (scene, lock)
}

fn armed_anew() -> OpenedEpisode {
    OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    }
}

#[tokio::test]
async fn an_end_that_lands_late_has_one_entry() {
    let (scene, lock) = armed_without_the_store().await;
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
    let (scene, lock) = armed_without_the_store().await;
    lock.release().await;
    scene.recover().await.unwrap();
    assert_eq!(scene.set.open(1, 2).await, armed_anew());
    assert_eq!(scene.fire(2, 1, 2).await, Ok(FireResult::Fired));
    assert_eq!(scene.stored(2).await.unwrap().state, State::Planned);
}
