//! What is kept of an execution, from intent to outcome, and how it is listed.

use super::*;

#[tokio::test]
async fn an_execution_keeps_all_that_was_known_from_intent_to_outcome() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let planned = set.journal.execution(id).await.unwrap();
    let new = set.decided(1, 1, 1);
    let expected = Execution {
        id,
        trigger_key: format!("live:{}:{}:1:1", set.automation.id, position(1)),
        source: Source::Live,
        automation: new.automation,
        account: new.account,
        user: new.user,
        position: position(1),
        rule_version: 1,
        episode: 1,
        state: State::Planned,
        action: ADD,
        decision: new.decision,
        before: None,
        attempts: 0,
        reason: None,
        evidence: None,
        outcome: None,
        epoch: None,
        created_at: at(10),
        sending_at: None,
        finished_at: None,
    };
    assert_eq!(planned, expected);
    let less = Action::AddMargin { amount: Sats(400) };
    let began = set.journal.begin_sending(id, less, Some(before()), at(11));
    assert_eq!(began.await.unwrap(), Began::Sending { attempt: 1 });
    let outcome = json!({"margin": 100_400});
    let done = set.journal.done(id, outcome.clone(), set.entry(id), at(12));
    assert_eq!(done.await.unwrap(), Done::Recorded);
    let expected = Execution {
        state: State::Done,
        action: less,
        before: Some(before()),
        attempts: 1,
        outcome: Some(outcome),
        epoch: Some(set.journal.epoch()),
        sending_at: Some(at(11)),
        finished_at: Some(at(12)),
        ..expected
    };
    assert_eq!(set.journal.execution(id).await.unwrap(), expected);
    let audited = set.audited().await;
    assert_eq!(audited.len(), 1);
    assert_eq!((audited[0].seq, audited[0].execution), (1, id));
    assert_eq!(audited[0].account, set.account.id);
    assert_eq!(audited[0].entry, set.entry(id));
}

#[tokio::test]
async fn lists_are_the_latest_first_and_filtered() {
    let set = Set::new().await;
    for n in 1..=5 {
        set.at_state(n, if n == 3 { State::Done } else { State::Failed })
            .await;
    }
    let ids = async |filter: Filter| {
        let rows = set.journal.executions(&filter).await.unwrap().rows;
        rows.iter()
            .map(|row| row.id.0.as_u128())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(Filter::default()).await, [5, 4, 3, 2, 1]);
    let two = Filter {
        limit: 2,
        account: Some(set.account.id.clone()),
        automation: Some(set.automation.id.clone()),
        state: Some(State::Failed),
    };
    assert_eq!(ids(two).await, [5, 4]);
    let other = Filter {
        account: Some(crate::domain::ids::AccountId::new("other")),
        ..Filter::default()
    };
    assert_eq!(ids(other).await, [0u128; 0]);
    let skipped = set.at_state(6, State::Skipped).await;
    let skipped = set.journal.execution(skipped).await.unwrap();
    assert_eq!(skipped.skipped(), Some(SkipReason::DryRun));
    assert_eq!(
        serde_json::to_value(&skipped).unwrap()["automationId"],
        json!(set.automation.id)
    );
}
