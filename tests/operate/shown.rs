//! What is shown of everybody and everything: each actor, each account's limits and failures, and what
//! waits to be told outside.

use serde_json::Value;
use vigia::domain::protection::Protections;
use vigia::domain::units::Sats;
use vigia::simulator::Fault;

use crate::receiver::{Mood, Receiver};
use crate::scrape::{tree, until};
use crate::stage::{ADDED, Deed, Stage, Windows, wanted_server};

const LIMITS: &str = "[protection]\nexecutions_per_day = 7\nfailures_in_a_row = 2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_failures_pauses_and_what_waits_to_be_told_are_shown_everywhere() {
    // It answers, and takes nothing: all waits.
    let receiver = Receiver::up().await;
    receiver.is_in_the_mood(Mood::Answers(503));
    let more = format!("{}{LIMITS}", receiver.config(""));
    let stage = Stage::configured(wanted_server(), Windows::default(), &more).await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    stage.guarded("bob", Deed::Add).await;
    let rejects = Fault::status(400);
    let rejects = rejects.on_route(Deed::Add.route()).on_key("key-bob");
    stage.control.inject(rejects).unwrap();
    let own = ["account", "limits", "alice", "--sats-per-day", "1500000"];
    stage.cli(&own).await.ok();
    let watchman = stage.start();
    watchman.until_armed(2).await;

    let calm = tree(&stage, "?account=alice").await.accounts.remove(0);
    let usage = calm.protections.unwrap();
    assert_eq!((usage.today.executions, usage.today.added), (0, Sats(0)));
    stage.endanger(&position);
    watchman.until("execution.done").await;
    watchman.until("account.paused").await;
    let report = until("the outbox waits", &watchman, || async {
        let report = tree(&stage, "").await;
        // Of alice's execution, and of bob's failures and pause.
        let waits = report.notifications.waiting.is_some_and(|many| many >= 2);
        waits.then_some(report)
    })
    .await;
    assert!(report.notifications.configured);
    let [alice, bob] = report.accounts.as_slice() else {
        panic!("{report:#?}");
    };
    let usage = alice.protections.as_ref().unwrap();
    let holds = Protections {
        executions_per_day: Some(7),
        sats_per_day: Some(Sats(1_500_000)),
        failures_in_a_row: Some(2),
    };
    assert_eq!(usage.holds, holds);
    assert_eq!((usage.today.executions, usage.today.added), (1, ADDED));
    assert_eq!((usage.failures, usage.until > report.at), (0, true));
    assert_eq!(bob.protections.as_ref().unwrap().failures, 2);
    let reason = "2 executions failed in a row, the last: rejected";
    let paused = bob.paused.as_ref().unwrap();
    assert!(paused.reason.as_ref().unwrap().starts_with(reason));

    // Every actor, with its restarts and what waits for it.
    let parts: Vec<_> = report.parts.iter().map(|part| &*part.actor).collect();
    let all = [
        "audit_log",
        "health_reporter",
        "notifier",
        "job_desk",
        "intake",
    ];
    assert_eq!(parts, all);
    let notifier = &report.parts[2];
    assert_eq!(
        (
            &*notifier.life.state,
            notifier.life.restarts,
            notifier.backlog
        ),
        ("running", 0, report.notifications.waiting)
    );
    let text = stage.cli(&["status"]).await.ok().out;
    let line = |actor: &str| {
        let line = text.lines().find(|line| line.contains(actor));
        line.unwrap_or_else(|| panic!("{actor}: {text}"))
    };
    for actor in all.into_iter().chain([
        "price_feed/sim",
        "connection/alice",
        "connection/bob",
        "automation/",
    ]) {
        assert!(line(actor).contains("restarts 0"), "{actor}: {text}");
    }
    for actor in ["notifier", "job_desk", "intake", "connection/alice"] {
        assert!(line(actor).contains("backlog "), "{actor}: {text}");
    }
    assert!(
        line("executors:").contains(" started, 64 at most"),
        "{text}"
    );
    assert!(
        text.starts_with("vigia ") && text.contains("\nsupervisor\n"),
        "{text}"
    );
    for told in [
        "today: 1 of 7 executions, 500,000 of 1,500,000 sats added; 0 of 2 failures in a row",
        "2 of 2 failures in a row",
        "PAUSED by protection",
        reason,
        " wait to be delivered",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }

    // Long lines are broken.
    let words = |said: &str| said.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = words(&stage.cli(&["account", "show", "alice"]).await.ok().out);
    for told in [
        "1 of 7",
        "500,000 of 1,500,000",
        "0 of 2",
        "notices waiting",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    let shown = words(&stage.cli(&["account", "show", "bob"]).await.ok().out);
    assert!(
        shown.contains(reason) && shown.contains("2 of 2"),
        "{shown}"
    );
    let shown = stage
        .cli(&["account", "show", "bob", "--json"])
        .await
        .ok()
        .out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["protections"]["failures"], 2, "{shown}");
    assert!(
        shown["notificationsWaiting"].as_u64().unwrap() >= 1,
        "{shown}"
    );

    // Once it is taken, nothing waits.
    receiver.is_in_the_mood(Mood::Takes);
    until("all is told", &watchman, || async {
        let notifications = tree(&stage, "").await.notifications;
        (notifications.waiting == Some(0)).then_some(())
    })
    .await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_receiver_there_is_no_notifier_and_that_is_said() {
    let stage = Stage::set().await;
    let watchman = stage.start();
    watchman.until("admin.listening").await;
    let report = tree(&stage, "").await;
    assert!(!report.notifications.configured);
    assert!(report.parts.iter().all(|part| part.actor != "notifier"));
    let text = stage.cli(&["status"]).await.ok().out;
    assert!(text.contains("no receiver is configured"), "{text}");
    watchman.stop().await;
}
