//! What a crash left, found by whoever comes after it.

use super::*;

#[tokio::test]
async fn what_a_crash_left_is_found_oldest_first_whatever_else_is_torn() {
    let set = Set::new().await;
    for n in [3u128, 1, 2] {
        set.open(n, 1).await;
        let created = at(100 + n as i64);
        set.journal
            .fire(set.decided(n, n, 1), Limits::default(), created)
            .await
            .unwrap();
    }
    set.begin(execution(2)).await;
    set.at_state(4, State::Done).await;
    let torn = set.planned(5).await;
    // On a server the type of the column is what keeps JSON whole.
    let torn_json = match set.fixture.is_a_file() {
        true => "{\"kind\":",
        false => "{\"kind\": 1}",
    };
    set.fixture
        .sql(&format!(
            "UPDATE executions SET action = '{torn_json}' WHERE id = '{torn}'"
        ))
        .await;
    let found = set.journal.unfinished().await.unwrap();
    let ids: Vec<_> = found.rows.iter().map(|row| row.id).collect();
    assert_eq!(ids, [execution(1), execution(2), execution(3)]);
    assert_eq!(found.unreadable.len(), 1);
    assert!(found.unreadable[0].to_string().contains(&torn.to_string()));

    set.fixture.store.close().await;
    let store = set.fixture.second().await;
    let epoch = store.claim_ownership("after", at(200)).await.unwrap();
    let journal = Journal::new(store, epoch);
    assert_eq!(journal.unfinished().await.unwrap().rows, found.rows);
    let counts = journal.counts().await.unwrap();
    let counted: Vec<_> = counts.iter().map(|(_, count)| count).collect();
    assert_eq!(counted, [3, 1, 1, 0, 0, 0]);
    assert_eq!(counts.of(State::Planned), 3);
}
