//! One account that cannot be served harms no other.

use std::time::Duration;

use vigia::app;
use vigia::domain::credentials::Credentials;
use vigia::simulator::Fault;

use crate::stage::{Deed, Owner, Stage};
use crate::watchman::Watchman;

/// Of two accounts, `bob`'s guard acts; `alice` is the one in trouble.
async fn bob_is_saved(
    stage: &Stage,
    position: &vigia::domain::position::Position,
    mut watchman: Watchman,
) {
    stage.endanger(position);
    watchman.until("execution.done").await;
    let done = watchman.until("execution.done").await;
    assert_eq!(done["account_name"], "bob");
    assert!(watchman.is_running());
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}

#[tokio::test]
async fn credentials_sealed_with_another_master_key_are_told_and_others_are_served() {
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let key = stage.data_dir().join("master.key");
    std::fs::remove_file(&key).unwrap();
    app::write_key_file(&key).unwrap();
    let (_, position) = stage.guarded("bob", Deed::Close).await;

    let watchman = stage.start();
    let told = watchman.until("config.unusable").await;
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("alice") && message.contains("master key"),
        "{message}"
    );
    watchman.until_armed(1).await;
    bob_is_saved(&stage, &position, watchman).await;
}

/// What is unfinished of an account that cannot be served is kept, told, and not lost.
#[tokio::test]
async fn an_unfinished_execution_waits_for_the_right_master_key() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    stage.dies_at("execution.sending", &position).await;
    let key = stage.data_dir().join("master.key");
    let right = stage.data_dir().join("right.key");
    std::fs::rename(&key, &right).unwrap();
    app::write_key_file(&key).unwrap();

    let watchman = stage.start();
    watchman.until("config.unusable").await;
    let left = watchman.until("execution.left").await;
    assert!(left["execution"].is_string(), "{left}");
    watchman.stop().await;
    assert!(stage.effects().is_empty());

    std::fs::rename(&right, &key).unwrap();
    let watchman = stage.start();
    stage
        .settled(&watchman, |books| !books.executions.is_empty())
        .await;
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}

#[tokio::test]
async fn credentials_that_the_exchange_refuses_are_told_and_others_are_served() {
    let stage = Stage::set().await;
    let alice = stage.owner("alice");
    stage.open_position(&alice, 10).await;
    let wrong = Owner {
        name: alice.name,
        credentials: Credentials::new("key-alice", "another secret", "phrase-alice"),
    };
    stage.guard(&wrong, Deed::Close).await;
    let (_, position) = stage.guarded("bob", Deed::Close).await;

    let watchman = stage.start();
    let told = watchman
        .until_where("unauthorized", |line| line["to"] == "unauthorized")
        .await;
    assert_eq!(told["account_name"], "alice");
    let lost = watchman.until("socket.lost").await;
    assert_eq!(lost["account_name"], "alice", "{lost}");
    assert!(lost["account_id"].is_string(), "{lost}");
    watchman.until_armed(1).await;
    let died = watchman.count("actor.died");
    assert_eq!(died, 0, "{}", watchman.told());
    assert!(!watchman.told().contains("another secret"));
    bob_is_saved(&stage, &position, watchman).await;
}

/// What the start tells of the rules must not keep them from acting.
#[tokio::test]
async fn an_account_that_gets_no_answer_does_not_keep_others_unguarded_at_the_start() {
    // Less than the time that a single answer has.
    const STARTED_WITHIN: Duration = Duration::from_millis(4_500);
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let (_, position) = stage.guarded("bob", Deed::Close).await;
    let hang = Fault::Hang { apply: false };
    stage
        .control
        .inject(
            hang.on_key("key-alice")
                .on_route("/v3/futures/isolated/trades"),
        )
        .unwrap();

    let watchman = stage.start();
    let started = tokio::time::timeout(STARTED_WITHIN, watchman.until("service.started")).await;
    started.expect("it started while an answer was still awaited");
    watchman.until_armed(1).await;
    bob_is_saved(&stage, &position, watchman).await;
}

#[tokio::test]
async fn an_account_of_an_unknown_network_is_told_and_others_are_served() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("bob", Deed::Close).await;
    let store = stage.store().await;
    let lost = vigia::store::NewAccount {
        user_id: vigia::domain::ids::UserId::new("user-1"),
        name: "alice".to_owned(),
        network: "nowhere".to_owned(),
        credentials: Credentials::new("key", "secret", "phrase"),
    };
    store.add_account(lost, stage.clock.utc()).await.unwrap();
    store.close().await;

    let watchman = stage.start();
    let told = watchman.until("config.unusable").await;
    let message = told["message"].as_str().unwrap();
    for word in ["alice", "nowhere", "mainnet", "sim"] {
        assert!(message.contains(word), "{message}");
    }
    watchman.until_armed(1).await;
    bob_is_saved(&stage, &position, watchman).await;
}
