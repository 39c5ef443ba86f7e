//! Whatever becomes of the service: who tells dies, is killed, or stands by.

use super::*;
use crate::server::Server;

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
