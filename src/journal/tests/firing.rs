//! One trigger is one execution, and what is not armed does not fire.

use super::*;

#[tokio::test]
async fn one_trigger_is_one_execution_however_often_it_is_seen() {
    let set = Set::new().await;
    set.open(1, 1).await;
    let firing = (0..20).map(|n| {
        set.journal
            .fire(set.decided(100 + n, 1, 1), Limits::default(), at(10))
    });
    let results: Vec<_> = join_all(firing)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let fired: Vec<_> = (0..20)
        .filter(|n| results[*n as usize] == FireResult::Fired)
        .collect();
    assert_eq!(fired.len(), 1);
    let winner = execution(100 + fired[0]);
    for other in results
        .iter()
        .filter(|result| **result != FireResult::Fired)
    {
        assert_eq!(*other, FireResult::FiredBefore(winner));
    }
    assert_eq!(set.journal.unfinished().await.unwrap().rows.len(), 1);
    let again = set
        .journal
        .fire(set.decided(100 + fired[0], 1, 1), Limits::default(), at(11))
        .await;
    assert_eq!(
        again.unwrap(),
        FireResult::Fired,
        "a lost answer costs nothing"
    );
}

#[tokio::test]
async fn a_stale_or_unopened_episode_does_not_fire_and_leaves_nothing() {
    let set = Set::new().await;
    let not_armed = |episode, stands| JournalError::NotArmed { episode, stands };
    let fire = async |id, episode| {
        let fired = set
            .journal
            .fire(set.decided(id, 1, episode), Limits::default(), at(10))
            .await;
        fired.unwrap_err()
    };
    assert_eq!(fire(1, 1).await, not_armed(1, None));
    set.open(1, 1).await;
    let stands = Some(OpenedEpisode::Armed {
        episode: 1,
        from: at(10),
    });
    assert_eq!(fire(1, 2).await, not_armed(2, stands));
    set.journal
        .fire(set.decided(1, 1, 1), Limits::default(), at(10))
        .await
        .unwrap();
    let skipped = set.journal.skip(execution(1), SkipReason::DryRun, at(12));
    skipped.await.unwrap();
    set.open(1, 2).await;
    let late = set
        .journal
        .fire(set.decided(2, 1, 1), Limits::default(), at(10))
        .await;
    assert_eq!(late.unwrap(), FireResult::FiredBefore(execution(1)));
    let stands = Some(OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    });
    assert_eq!(fire(3, 3).await, not_armed(3, stands));
    let rows = set
        .journal
        .executions(&Filter::default())
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 1, "what did not fire left an execution");
    // Even where somebody has deleted the execution: what has fired has fired.
    set.journal
        .fire(set.decided(4, 1, 2), Limits::default(), at(10))
        .await
        .unwrap();
    set.fixture.sql("DELETE FROM executions").await;
    let gone = Some(OpenedEpisode::Fired {
        episode: 2,
        execution: execution(4),
    });
    assert_eq!(fire(5, 2).await, not_armed(2, gone));
    let error = not_armed(3, stands).to_string();
    assert_eq!(
        error,
        "episode 3 is not armed (episode 2 is): open it first"
    );
}

#[tokio::test]
async fn in_one_batch_what_fails_is_undone_whole_and_its_neighbours_stand() {
    let set = Set::new().await;
    for n in 1..=40 {
        set.open(n, 1).await;
    }
    // Every second one inserts its execution and then finds that its episode is not armed.
    let firing = (1..=40).map(|n| {
        let episode = if n % 2 == 0 { 1 } else { 2 };
        set.journal
            .fire(set.decided(n, n, episode), Limits::default(), at(10))
    });
    for (n, result) in (1..=40).zip(join_all(firing).await) {
        match result {
            Ok(FireResult::Fired) => assert_eq!(n % 2, 0),
            Err(JournalError::NotArmed { episode: 2, .. }) => assert_eq!(n % 2, 1),
            other => panic!("{n}: {other:?}"),
        }
    }
    let filter = Filter::default();
    let rows = set.journal.executions(&filter).await.unwrap().rows;
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.episode == 1));
}
