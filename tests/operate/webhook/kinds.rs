//! What is told: each kind of event, signed, with what happened.

use vigia::simulator::Fault;

use super::*;
use crate::stage::START;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_event_arrives_signed_and_says_what_happened() {
    let receiver = Receiver::up().await;
    let more = "[protection]\nfailures_in_a_row = 2\n";
    let stage = stage(&receiver, more).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let (bob, _) = stage.guarded("bob", Deed::Add).await;
    let (carol, _) = stage.guarded("carol", Deed::Close).await;
    let (dave, _) = stage.guarded("dave", Deed::Close).await;
    let (erin, _) = stage.guarded("erin", Deed::Close).await;
    let rejects = Fault::status(400);
    let rejects = rejects.on_route(Deed::Add.route()).on_key("key-bob");
    stage.control.inject(rejects).unwrap();
    let watchman = stage.start();
    watchman.until_armed(5).await;
    kill_switch(&stage, "on").await;
    kill_switch(&stage, "off").await;
    stage.control.revoke_key("key-carol");
    let unread = Fault::status(500);
    let unread = unread.on_route("/v3/futures/isolated/trades/running");
    stage.control.inject(unread.on_key("key-dave")).unwrap();
    stage.control.drop_sockets(Some("key-dave"));
    stage.control.drop_sockets(Some("key-carol"));
    let region = Fault::GeoBlock.on_key("key-erin");
    stage.control.inject(region).unwrap();
    stage.control.drop_sockets(Some("key-erin"));
    let has = |kind: &'static str, account: &'static str| {
        move |receiver: &Receiver| {
            let of_kind = receiver.of_kind(kind);
            of_kind
                .iter()
                .any(|told| told.body["account"]["name"] == account)
        }
    };
    stage.endanger(&position);
    for (kind, account) in [
        ("kill_switch.on", "alice"),
        ("kill_switch.off", "alice"),
        ("execution.done", "alice"),
        ("execution.failed", "bob"),
        ("account.paused", "bob"),
        ("account.unauthorized", "carol"),
        ("account.blind", "dave"),
        ("account.blocked", "erin"),
    ] {
        receiver
            .until(&format!("{kind} of {account}"), TOLD, has(kind, account))
            .await;
    }
    stage.control.clear_faults();
    let recovered = has("account.recovered", "dave");
    receiver.until("dave recovers", TOLD, recovered).await;
    stage.cli(&["account", "resume", "bob"]).await.ok();
    let resumed = has("account.resumed", "bob");
    receiver.until("bob is resumed", TOLD, resumed).await;
    let blocked = receiver.of_kind("account.blocked").remove(0);
    assert_eq!(blocked.body["data"]["state"], "blocked", "{blocked:?}");
    let mut done = receiver.of_kind("execution.done");
    done.retain(|told| told.body["account"]["name"] == "alice");
    let done = done.remove(0);
    assert_eq!(done.body["data"]["action"]["kind"], "close_position");
    assert_eq!(done.body["data"]["positionId"], position.id.to_string());
    let paused = receiver.of_kind("account.paused").remove(0);
    let reason = paused.body["data"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("2 executions failed in a row, the last: rejected"),
        "{reason}"
    );
    // Nothing of what it is told with is in the log.
    let told = watchman.told();
    assert!(
        !told.contains("/hook") && !told.contains("a secret of"),
        "{told}"
    );
    watchman.stop().await;
    drop((bob, carol, dave, erin));
}

/// What dies every time it is started is set aside, and that is told, whoever it is.
async fn dies_at(place: &str, told: &str) -> serde_json::Value {
    let receiver = Receiver::up().await;
    let stage = stage(&receiver, "").await;
    stage.guarded("alice", Deed::Close).await;
    let mut command = stage.run();
    command.env("VIGIA_FAILPOINT", format!("{place}=panic:6"));
    let watchman = Watchman::of(command, stage.clock);
    let is_told = |receiver: &Receiver| !receiver.of_kind(told).is_empty();
    receiver.until(told, TOLD, is_told).await;
    watchman.stop().await;
    receiver.of_kind(told).remove(0).body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_or_an_automation_that_is_set_aside_is_told() {
    let body = dies_at("connection.started", "account.quarantined").await;
    assert_eq!(body["account"]["name"], "alice");
    let body = dies_at("automation.started", "automation.quarantined").await;
    assert_eq!(body["account"]["name"], "alice");
    let cause = body["data"]["cause"].as_str().unwrap();
    assert!(cause.contains("failpoint"), "{cause}");
}

/// Without a receiver nothing is written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_receiver_nothing_is_written_down() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    watchman.until("execution.done").await;
    stage.control.set_price(START).unwrap();
    watchman.stop().await;
    let store = stage.store().await;
    assert_eq!(store.notices(None, 10).await.unwrap().rows, []);
    store.close().await;
}
