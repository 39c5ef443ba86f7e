//! Telling a receiver outside: everything once, in its order, whatever becomes of the receiver or of
//! the service; and never in the way of trading.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vigia::domain::ids::AccountId;
use vigia::domain::notice::{Kinds, Notice, NoticeKind};
use vigia::simulator::{Fault, LedgerKind};
use vigia::store::NoticeState;

use crate::receiver::{Mood, Receiver};
use crate::server::Server;
use crate::stage::{Deed, START, Stage, Windows, wanted_server};
use crate::watchman::{Watchman, run_to_end, vigia};

/// How long anything may take that is told, on a busy machine.
const TOLD: Duration = Duration::from_secs(30);
/// An attempt to deliver to somebody who hangs takes 5 s: whatever waits for one takes longer than this.
const IN_THE_WAY_US: u64 = 4_000_000;

async fn stage(receiver: &Receiver, more: &str) -> Stage {
    let config = format!("{}{more}", receiver.config("same_kind_ms = 600000"));
    Stage::configured(wanted_server(), Windows::default(), &config).await
}

fn everything() -> Kinds {
    NoticeKind::ALL.iter().copied().collect()
}

/// Writes down so many notices for each account, numbered.
async fn write_down(stage: &Stage, accounts: usize, each: u64) {
    let store = stage.store().await.telling(everything());
    let written = (0..each).flat_map(|number| (0..accounts).map(move |account| (account, number)));
    let writing = written.map(|(account, number)| {
        let name = format!("account-{account}");
        store.tell(Notice {
            kind: NoticeKind::ExecutionDone,
            id: format!("test:{name}:{number}"),
            account: Some((AccountId::new(&name), name)),
            at: stage.clock.utc(),
            data: json!({ "number": number }),
        })
    });
    for told in futures_util::future::join_all(writing).await {
        assert!(told.unwrap());
    }
    store.close().await;
}

fn in_order(receiver: &Receiver, accounts: usize, each: u64) -> bool {
    let numbers = receiver.numbers();
    numbers.len() == accounts && numbers.values().all(|of| of.iter().copied().eq(0..each))
}

/// Waits until the outbox knows that all was taken.
async fn all_marked(stage: &Stage) {
    let store = stage.store().await;
    let marking = async {
        while store.notices_waiting().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TOLD, marking)
        .await
        .expect("nothing waits");
    store.close().await;
}

async fn kill_switch(stage: &Stage, turn: &str) {
    operator(stage, &["kill-switch", turn, "--account", "alice"]).await;
}

async fn operator(stage: &Stage, arguments: &[&str]) {
    let mut command = vigia();
    command.args(arguments);
    command.arg("--config").arg(stage.config_file());
    command.arg("--data-dir").arg(stage.data_dir());
    let output = run_to_end(&mut command).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

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
    operator(&stage, &["account", "resume", "bob"]).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_the_receiver_is_down_arrives_when_it_is_back_in_order() {
    const DOWN: Duration = Duration::from_secs(10);
    let mut receiver = Receiver::down();
    let stage = stage(&receiver, "").await;
    write_down(&stage, 5, 20).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    let since = Instant::now();
    watchman.until("notification.receiver_away").await;
    watchman.until_armed(1).await;
    stage.endanger(&position);
    watchman.until("execution.done").await;
    // The receiver's absence is what is tested; its length is part of the promise.
    tokio::time::sleep(DOWN.saturating_sub(since.elapsed())).await;
    assert!(receiver.all().is_empty());
    receiver.comes_up().await;
    let back = Instant::now();
    receiver
        .until("all arrive in order", TOLD, |receiver| {
            in_order(receiver, 5, 20) && !receiver.of_kind("execution.done").is_empty()
        })
        .await;
    println!(
        "receiver down for 10 s: 101 told {} ms after it was back",
        back.elapsed().as_millis()
    );
    watchman.until("notification.receiver_back").await;
    watchman.stop().await;
    assert_eq!(receiver.all().len(), 101, "none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_is_not_in_the_way_of_an_order() {
    let receiver = Receiver::up().await;
    receiver.is_in_the_mood(Mood::Hangs);
    let stage = stage(&receiver, "").await;
    write_down(&stage, 50, 1).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    receiver
        .until("some hang", TOLD, |receiver| receiver.hanging() >= 4)
        .await;
    stage.endanger(&position);
    let done = watchman.until("execution.done").await;
    let micros = done["tick_to_order_us"].as_u64().unwrap();
    println!("tick to order while 50 deliveries hang: {micros} us");
    assert!(micros < IN_THE_WAY_US, "it waited for a delivery");
    let effects = stage.control.ledger();
    assert!(effects.iter().any(|entry| entry.kind == LedgerKind::Closed));
    assert!(receiver.taken().is_empty());
    receiver.is_in_the_mood(Mood::Takes);
    receiver
        .until("all arrive", TOLD, |receiver| receiver.taken().len() >= 51)
        .await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_receiver_answers_it_harms_nobody_and_is_told_again_as_long_as_that_helps() {
    let receiver = Receiver::up().await;
    receiver.is_in_the_mood(Mood::SendsAway);
    let stage = stage(&receiver, "").await;
    write_down(&stage, 1, 3).await;
    let watchman = stage.start();
    let refused = watchman.until("notification.refused").await;
    assert!(
        refused["answer"].as_str().unwrap().contains("redirects"),
        "{refused}"
    );
    receiver.is_in_the_mood(Mood::Answers(503));
    watchman
        .until_where("it answers 503", |line| {
            line["event"] == "notification.refused" && line["answer"] == "503: not now"
        })
        .await;
    // What it will never take keeps nothing else waiting.
    receiver.is_in_the_mood(Mood::Answers(422));
    let given_up = watchman.until("notification.given_up").await;
    assert_eq!(given_up["id"], "test:account-0:0");
    receiver.is_in_the_mood(Mood::NeverEnds);
    receiver
        .until("the rest is taken", TOLD, |receiver| {
            !receiver.taken().is_empty()
        })
        .await;
    stage
        .until("nothing waits", TOLD, |_| {
            watchman.count("notification.given_up") + receiver.taken().len() == 3
        })
        .await;
    assert!(!receiver.was_followed_elsewhere());
    all_marked(&stage).await;
    watchman.stop().await;
    let store = stage.store().await;
    let kept = store.notices(Some(NoticeState::GivenUp), 10).await.unwrap();
    assert!(!kept.rows.is_empty());
    store.close().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tells_comes_back_and_tells_on() {
    let receiver = Receiver::up().await;
    let stage = stage(&receiver, "").await;
    write_down(&stage, 2, 20).await;
    let mut command = stage.run();
    command.env("VIGIA_FAILPOINT", "notice.posted=panic:3");
    let watchman = Watchman::of(command, stage.clock);
    receiver
        .until("all arrive in order", TOLD, |receiver| {
            in_order(receiver, 2, 20)
        })
        .await;
    let died = watchman.lines();
    let died = died
        .iter()
        .filter(|line| line["event"] == "actor.died" && line["actor"] == "notifier");
    assert_eq!(died.count(), 3);
    watchman.stop().await;
}

/// At least once, under one id: whoever drops what it knows hears everything exactly once.
async fn killed_at(place: &str) {
    let receiver = Receiver::up().await;
    let stage = stage(&receiver, "").await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    stage.dies_at(place, &position).await;
    let before = receiver.all().len();
    let watchman = stage.start();
    receiver
        .until("it is told", TOLD, |receiver| {
            receiver.of_kind("execution.done").len() == 1
        })
        .await;
    all_marked(&stage).await;
    watchman.stop().await;
    let store = stage.store().await;
    let notices = store.notices(None, 100).await.unwrap().rows;
    assert_eq!(store.notices_waiting().await, Ok(0));
    store.close().await;
    let done: Vec<_> = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::ExecutionDone)
        .collect();
    assert_eq!(done.len(), 1, "{notices:#?}");
    let told = receiver.all().len();
    println!("killed at {place}: told {before} times before, {told} in all, taken once");
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(told, if place == "notice.posted" { 2 } else { 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_row_stands_it_is_told_by_the_next() {
    killed_at("execution.recorded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_receiver_has_it_it_is_told_again_under_the_same_id() {
    killed_at("notice.posted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_it_is_marked_it_is_not_told_again() {
    killed_at("notice.marked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_tells_and_the_standby_goes_on_where_it_ended() {
    let receiver = Receiver::up().await;
    let config = receiver.config("");
    let server = Some(Server::start());
    let stage = Stage::configured(server, Windows::default(), &config).await;
    write_down(&stage, 4, 25).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until_armed(1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = stage.run_in(folder.path());
    command.arg("--standby");
    let second = Watchman::of(command, stage.clock);
    second.until("ownership.waiting").await;
    receiver
        .until("all arrive", TOLD, |receiver| in_order(receiver, 4, 25))
        .await;
    assert_eq!(receiver.all().len(), 100, "none twice");
    all_marked(&stage).await;
    first.kill().await;
    second.until_armed(1).await;
    stage.endanger(&position);
    receiver
        .until("the standby tells", TOLD, |receiver| {
            receiver.of_kind("execution.done").len() == 101
        })
        .await;
    assert_eq!(receiver.all().len(), 101, "none twice");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_arrive_each_once_and_in_order() {
    let receiver = Receiver::up().await;
    let stage = stage(&receiver, "").await;
    write_down(&stage, 20, 50).await;
    let watchman = stage.start();
    receiver
        .until("the first arrives", TOLD, |receiver| {
            !receiver.all().is_empty()
        })
        .await;
    let since = Instant::now();
    receiver
        .until("all arrive", 2 * TOLD, |receiver| {
            in_order(receiver, 20, 50)
        })
        .await;
    println!("1,000 notifications in {} ms", since.elapsed().as_millis());
    watchman.stop().await;
    assert_eq!(receiver.all().len(), 1000, "none twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_its_bound_the_oldest_are_dropped_and_that_is_told() {
    let mut receiver = Receiver::down();
    let config = receiver.config("most_waiting = 10");
    let stage = Stage::configured(wanted_server(), Windows::default(), &config).await;
    write_down(&stage, 1, 25).await;
    let watchman = stage.start();
    let dropped = watchman.until("notification.dropped").await;
    assert_eq!(dropped["dropped"], 15, "{dropped}");
    receiver.comes_up().await;
    receiver
        .until("the latest arrive", TOLD, |receiver| {
            let numbers = receiver.numbers();
            numbers.get("account-0").and_then(|told| told.last()) == Some(&24)
        })
        .await;
    // What was read before the drop may be told yet, in its order.
    let told = &receiver.numbers()["account-0"];
    assert!(told.ends_with(&(15..25).collect::<Vec<_>>()), "{told:?}");
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_try_it_and_see_what_waits() {
    let receiver = Receiver::up().await;
    let stage = stage(&receiver, "").await;
    write_down(&stage, 1, 2).await;
    let run = async |args: &[&str]| {
        let mut command = vigia();
        command.arg("notify").args(args);
        command.arg("--config").arg(stage.config_file());
        command.arg("--data-dir").arg(stage.data_dir());
        let output = run_to_end(&mut command).await;
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&told).into_owned(),
        )
    };
    let (code, told) = run(&["test"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("took test:") && told.contains("200"),
        "{told}"
    );
    assert_eq!(receiver.of_kind("test").len(), 1);
    receiver.is_in_the_mood(Mood::Answers(401));
    let (code, told) = run(&["test"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("401: not now"), "{told}");
    let (code, told) = run(&["list"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("2 wait") && told.contains("test:account-0:1"),
        "{told}"
    );
    let (_, told) = run(&["list", "--json"]).await;
    assert!(told.contains("\"state\": \"waiting\""), "{told}");
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
