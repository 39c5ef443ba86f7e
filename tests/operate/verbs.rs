//! The operator's verbs by the command line: through the service that runs, or into the store where
//! none does.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use vigia::domain::ids::UserId;
use vigia::store::NewAccount;

use crate::stage::{Deed, NETWORK, Stage, USER};
use crate::watchman::Watchman;

fn count(watchman: &Watchman, is: impl Fn(&Value) -> bool) -> usize {
    watchman.lines().iter().filter(|line| is(line)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verbs_go_through_the_service_and_are_in_effect_when_they_are_answered() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let acted = |verb: &str| count(&watchman, |line| line["verb"] == verb);

    let pause = ["account", "pause", "alice", "--reason", "a look"];
    stage
        .cli(&pause)
        .await
        .ok()
        .says(&["account alice is paused"]);
    stage
        .cli(&pause)
        .await
        .ok()
        .says(&["has been paused since", "by operator: a look"]);
    stage.cli(&["account", "list"]).await.ok().says(&["paused"]);
    stage
        .cli(&["account", "show", "alice"])
        .await
        .ok()
        .says(&["by operator: a look"]);
    stage.endanger(&position);
    let told = stage.cli(&["account", "restart", "alice"]).await.ok();
    told.says(&["account alice is restarted over", "handover", " ms"]);
    assert!(stage.effects().is_empty());
    stage
        .cli(&["account", "resume", "alice"])
        .await
        .ok()
        .says(&["is resumed"]);
    watchman
        .until_holds("the guard acts", || stage.effects().len() == 1)
        .await;
    stage
        .cli(&["account", "resume", "alice"])
        .await
        .ok()
        .says(&["was not paused"]);

    let bob = stage.owner("bob");
    stage.open_position(&bob, 10).await;
    let file = stage.credentials_file("bob", ["key-bob", "secret-bob", "phrase-bob"]);
    let add = [
        "account",
        "add",
        "bob",
        "--network",
        NETWORK,
        "--credentials-file",
        &file,
    ];
    stage.cli(&add).await.ok().says(&["account bob added, id"]);
    stage.cli(&add).await.refused(&["exists already"]);
    watchman
        .until_holds("bob is read", || {
            count(&watchman, |line| {
                line["account_name"] == "bob" && line["to"] == "live"
            }) == 1
        })
        .await;
    let rule = r#"{"metric": "margin_used", "margin_threshold": 0.7, "action": "close_position"}"#;
    let added = stage
        .cli(&[
            "automation",
            "add",
            "--account",
            "bob",
            "--type",
            "margin_guard",
            "--json",
            "--rule",
            rule,
        ])
        .await
        .ok();
    let added: Value = serde_json::from_str(&added.out).unwrap();
    let rule = added["automation"]["id"].as_str().unwrap();
    watchman
        .until_holds("bob's rule runs", || {
            count(&watchman, |line| {
                line["event"] == "automation.armed" && line["account_name"] == "bob"
            }) == 1
        })
        .await;
    stage
        .cli(&["automation", "disable", rule])
        .await
        .ok()
        .says(&["is disabled"]);
    stage
        .cli(&["automation", "enable", rule])
        .await
        .ok()
        .says(&["is enabled"]);
    stage
        .cli(&["account", "remove", "bob"])
        .await
        .refused(&["a position that runs"]);
    stage
        .cli(&["automation", "remove", rule])
        .await
        .ok()
        .says(&["is removed"]);
    stage
        .cli(&["account", "disable", "bob"])
        .await
        .ok()
        .says(&["is disabled"]);
    stage
        .cli(&["account", "remove", "bob"])
        .await
        .ok()
        .says(&["bob is removed", "nothing has changed"]);
    stage
        .cli(&["account", "remove", "bob"])
        .await
        .refused(&["there is no account `bob`"]);
    stage
        .cli(&["account", "restart", "bob"])
        .await
        .refused(&["there is no account `bob`"]);

    for (verb, times) in [
        ("account.pause", 2),
        ("account.resume", 2),
        ("account.restart", 1),
        ("account.add", 1),
        ("automation.add", 1),
        ("automation.disable", 1),
        ("automation.enable", 1),
        ("automation.remove", 1),
        ("account.disable", 1),
        ("account.remove", 1),
    ] {
        assert_eq!(acted(verb), times, "{verb}: {}", watchman.told());
    }
    assert!(!watchman.told().contains("secret-bob"));
    stage.agree_after_stop(watchman).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_service_the_store_is_written_and_a_file_left_behind_misleads_nobody() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    watchman.kill().await;
    assert!(
        stage.data_dir().join("admin.json").exists(),
        "left behind by the kill"
    );
    let restart = stage.cli(&["account", "restart", "alice"]).await;
    restart.refused(&["no service runs on the data folder"]);
    stage
        .cli(&["account", "pause", "alice"])
        .await
        .ok()
        .says(&["is paused"]);
    stage
        .cli(&["kill-switch", "on"])
        .await
        .ok()
        .says(&["on for everything"]);
    stage.endanger(&position);
    let watchman = stage.start();
    watchman.until("service.started").await;
    watchman
        .until_where("it goes live", |line| line["to"] == "live")
        .await;
    stage.cli(&["account", "resume", "alice"]).await.ok();
    watchman
        .until_where("held back", |line| line["what"] == "kill_switch")
        .await;
    assert!(stage.effects().is_empty());
    stage.cli(&["kill-switch", "off"]).await.ok();
    watchman
        .until_holds("the guard acts", || stage.effects().len() == 1)
        .await;
    stage.agree_after_stop(watchman).await;
    // It took its file with it.
    assert!(!stage.data_dir().join("admin.json").exists());
    stage
        .cli(&["account", "remove", "alice"])
        .await
        .ok()
        .says(&["is removed"]);
    stage
        .cli(&["account", "list"])
        .await
        .ok()
        .says(&["there are no accounts"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_writes_is_followed_at_the_next_look_into_the_store() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let store = stage.store().await;
    let now = stage.clock.utc();

    let written = stage.clock.mono();
    store.set_account_active("alice", false, now).await.unwrap();
    let stopped =
        |line: &Value| line["event"] == "actor.stopped" && line["actor"] == "connection/alice";
    watchman.until_where("its connection ends", stopped).await;
    let disabled = stage.clock.mono() - written;

    let bob = stage.owner("bob");
    let new = NewAccount {
        user_id: UserId::new(USER),
        name: "bob".to_owned(),
        network: NETWORK.to_owned(),
        credentials: bob.credentials.clone(),
    };
    let written = stage.clock.mono();
    store.add_account(new, now).await.unwrap();
    let started =
        |line: &Value| line["event"] == "actor.started" && line["actor"] == "connection/bob";
    watchman.until_where("its connection starts", started).await;
    let added = stage.clock.mono() - written;

    // A pause holds at once, before anybody has looked.
    let alice = store.set_account_active("alice", true, now).await.unwrap();
    watchman
        .until_where("alice is back", |line| {
            line["event"] == "automation.armed" && line["episode"] == 1
        })
        .await;
    store
        .pause_account(&alice.id, None, "another process", now)
        .await
        .unwrap();
    stage.endanger(&position);
    let id = alice.id.to_string();
    let paused = |line: &Value| line["account_id"] == *id && line["what"] == "account_paused";
    tokio::select! {
        // Where the rule was quicker than the look; otherwise it has ended by then.
        _ = watchman.until_where("held back", paused) => {}
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert!(stage.effects().is_empty());
    store
        .resume_account(&alice.id, stage.clock.utc())
        .await
        .unwrap();
    watchman
        .until_holds("the guard acts", || stage.effects().len() == 1)
        .await;
    store.close().await;
    println!(
        "another process's change was followed after {disabled:?} and {added:?}; looked every 200 ms"
    );
    stage.agree_after_stop(watchman).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stands_still_keeps_nobody_from_holding_it_back() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    watchman.signal(Signal::STOP);
    let enable = stage.cli(&["account", "enable", "alice"]).await;
    enable.refused(&["nothing was done", "does not answer"]);
    let on = stage
        .cli(&["kill-switch", "on", "--account", "alice"])
        .await
        .ok();
    on.says(&[
        "the kill switch is on",
        "does not answer",
        "written into the store",
    ]);
    stage.endanger(&position);
    watchman.signal(Signal::CONT);
    watchman
        .until_where("held back", |line| line["what"] == "kill_switch")
        .await;
    assert!(stage.effects().is_empty());
    stage
        .cli(&["kill-switch", "off", "--account", "alice"])
        .await
        .ok();
    watchman
        .until_holds("the guard acts", || stage.effects().len() == 1)
        .await;
    stage.agree_after_stop(watchman).await;
}
