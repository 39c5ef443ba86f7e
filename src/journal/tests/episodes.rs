//! Episodes: opened once, and told with what became of them.

use super::*;

#[tokio::test]
async fn an_episode_opens_once_and_only_after_the_one_before_it_has_fired() {
    let set = Set::new().await;
    let armed = |episode| OpenedEpisode::Armed {
        episode,
        from: at(10),
    };
    let fired = |episode, n| OpenedEpisode::Fired {
        episode,
        execution: execution(n),
    };
    assert_eq!(set.open(1, 1).await, armed(1));
    assert_eq!(set.open(1, 1).await, armed(1), "idempotent");
    assert_eq!(set.open(1, 2).await, armed(1), "1 has not fired");
    set.journal
        .fire(set.decided(11, 1, 1), Limits::default(), at(10))
        .await
        .unwrap();
    assert_eq!(set.open(1, 1).await, fired(1, 11));
    assert_eq!(set.open(1, 3).await, fired(1, 11), "2 was never open");
    assert_eq!(set.open(1, 2).await, fired(1, 11), "that goes on");
    let skipped = set.journal.skip(execution(11), SkipReason::DryRun, at(12));
    skipped.await.unwrap();
    assert_eq!(set.open(1, 2).await, armed(2));
    assert_eq!(
        set.open(1, 1).await,
        armed(2),
        "the past does not come back"
    );
    assert_eq!(set.open(2, 5).await, armed(5), "another position");
    let other_version =
        set.journal
            .open_episode(&set.automation.id, position(1), 2, 1, at(10), true);
    assert_eq!(other_version.await.unwrap(), armed(1));
    let unknown = crate::domain::ids::AutomationId::new("gone");
    let error = set
        .journal
        .open_episode(&unknown, position(1), 1, 1, at(1), true);
    let gone = JournalError::Store(StoreError::no_automation("gone"));
    assert_eq!(error.await.unwrap_err(), gone);
}

#[tokio::test]
async fn what_is_armed_is_listed_with_what_became_of_what_fired() {
    let set = Set::new().await;
    set.open(1, 1).await;
    set.at_state(2, State::Skipped).await;
    set.at_state(3, State::Sending).await;
    let mut stored = set.journal.armings(&set.automation.id, 1).await.unwrap();
    stored.sort_by_key(|arming| arming.position);
    let states: Vec<_> = stored.into_iter().map(|arming| arming.state).collect();
    let expected = [
        ArmedState::Armed,
        ArmedState::Fired {
            execution: execution(2),
            state: State::Skipped,
            reason: Some("dry_run".into()),
            finished_at: Some(at(12)),
        },
        ArmedState::Fired {
            execution: execution(3),
            state: State::Sending,
            reason: None,
            finished_at: None,
        },
    ];
    assert_eq!(states, expected);
    let none = set.journal.armings(&set.automation.id, 2).await.unwrap();
    assert!(none.is_empty());
}
