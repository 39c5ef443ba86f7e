//! Whatever becomes of the receiver: down, hanging, or answering as it likes.

use vigia::simulator::LedgerKind;
use vigia::store::NoticeState;

use super::*;

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
