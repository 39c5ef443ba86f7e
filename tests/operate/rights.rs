//! A key that may do more than a watchman needs, or is in more hands than one.

use crate::stage::{Owner, Stage};

/// What the simulator gives to everybody, and the right to empty the account.
const ALL_AND_MORE: [&str; 6] = [
    "account:read",
    "futures:isolated:read",
    "futures:isolated:write",
    "futures:cross:read",
    "futures:cross:write",
    "account:withdrawals:write",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_fails_for_a_key_that_may_withdraw_and_for_no_other() {
    let stage = Stage::in_a_file().await;
    let alice = stage.owner("alice");
    stage.take_in(&[alice]).await;
    let said = stage.cli(&["check"]).await.ok();
    said.says(&["ok   account alice rights: its key may not withdraw"]);

    let bob = stage.owner_of("bob", |config| config.with_permissions(&ALL_AND_MORE));
    stage.take_in(&[bob]).await;
    let said = stage.cli(&["check"]).await;
    said.refused(&[
        "ok   account alice rights: its key may not withdraw",
        "FAIL account bob rights: its key may withdraw",
        "`vigia account credentials`",
    ]);
    let offline = stage.cli(&["check", "--offline"]).await.ok();
    assert!(!offline.out.contains("rights"), "{offline:?}");
}

/// Both would guard the same positions, and each add the margin that one was to add.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_fails_for_one_key_in_two_accounts() {
    let stage = Stage::in_a_file().await;
    let alice = stage.owner("alice");
    let again = Owner {
        name: "again".to_owned(),
        credentials: alice.credentials.clone(),
    };
    stage.take_in(&[alice]).await;
    stage.cli(&["check", "--offline"]).await.ok();
    stage.take_in(&[again]).await;
    let said = stage.cli(&["check", "--offline"]).await;
    said.refused(&[
        "FAIL",
        "it has the same key as account",
        "the same positions",
    ]);
}
