//! Much at once, beyond the bound, and what an operator sees of it.

use super::*;

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
        let words = [&["notify"], args].concat();
        let output = run_to_end(&mut stage.command(&words)).await;
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
