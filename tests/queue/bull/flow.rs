//! From the producer to the observer: values, order, delays, pauses, schedulers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vigia::queue::{Outcome, Payload};

use super::with_both;
use crate::stage::{Stage, Works, done, options, text};
use crate::waiting::until;

with_both!(
    a_job_of_node_is_carried_out_and_its_producer_learns_the_outcome,
    every_value_comes_back_as_it_was_given,
    the_more_urgent_goes_first_and_equals_in_their_order,
    a_delayed_job_is_handed_out_when_it_is_due,
    a_paused_queue_hands_out_nothing_until_it_is_resumed,
    a_scheduler_goes_on_and_keeps_its_attempts,
);

async fn a_job_of_node_is_carried_out_and_its_producer_learns_the_outcome(stage: Stage) {
    let works = stage.work(|job| {
        let payload = Payload::parse(&job.data).unwrap();
        Outcome::Completed(json!({ "status": "completed", "userId": payload.user }))
    });
    let data = json!({ "userId": "u1", "automationId": "a1", "config": { "more": true } });
    let id = stage
        .node
        .add_with(data, json!({ "priority": 8, "attempts": 3 }))
        .await;
    let answer = stage.node.wait(&id).await;
    assert_eq!(
        answer["returned"],
        json!({ "status": "completed", "userId": "u1" })
    );
    let job = stage.node.job(&id).await;
    assert_eq!(text(&job, "state"), "completed");
    assert_eq!(job["attemptsMade"], 1);
    assert_eq!(job["attemptsStarted"], 1);
    assert_eq!(text(&job, "processedBy"), "vigia");
    assert!(job["finishedOn"].as_i64() >= job["processedOn"].as_i64());
    assert_eq!(job["stacktrace"], json!([]));
    let happened = stage.node.events(&id).await;
    assert_eq!(happened, ["added", "waiting", "active", "completed"]);
    let seen = &works.seen()[0];
    assert_eq!(
        (seen.priority, seen.attempts, seen.attempts_made),
        (8, 3, 0)
    );
    assert_eq!(seen.key.added_at, job["timestamp"].as_i64().unwrap());
    let workers = stage.node.ask("workers", json!({})).await;
    assert_eq!(workers, json!(["bull:YXV0b21hdGlvbi1leGVjdXRl:w:vigia"]));
    assert_eq!(stage.node.ask("running", json!({})).await["events"], true);
    assert!(works.close().await);
}

async fn every_value_comes_back_as_it_was_given(stage: Stage) {
    let works = stage.work(|job| {
        let data: Value = serde_json::from_str(&job.data).unwrap();
        Outcome::Completed(data["give"].clone())
    });
    let values = [
        Value::Null,
        json!(0),
        json!(false),
        json!("x"),
        json!({ "nested": [1, { "größe": "€ 😀" }], "slash": "a/b" }),
        json!([]),
        json!(1.5),
    ];
    for value in values {
        let id = stage
            .node
            .add_with(json!({ "give": value }), json!({}))
            .await;
        let answer = stage.node.wait(&id).await;
        assert_eq!(answer, json!({ "returned": value }));
    }
    // One value that is no JSON would have ended Node's listener for good.
    assert_eq!(stage.node.ask("running", json!({})).await["events"], true);
    assert!(works.close().await);
}

async fn the_more_urgent_goes_first_and_equals_in_their_order(stage: Stage) {
    let mut ids = vec![];
    for opts in [
        json!({ "priority": 8 }),
        json!({ "priority": 1 }),
        json!({}),
        json!({ "lifo": true }),
        json!({}),
        json!({ "priority": 8 }),
    ] {
        ids.push(stage.node.add(opts).await);
    }
    let mut one = options();
    one.take = 1;
    let works = Works::start(&stage.queue(one), done);
    stage.node.wait(&ids[5]).await;
    let order = [3, 2, 4, 1, 0, 5].map(|place| ids[place].clone());
    assert_eq!(works.ids(), order);
    assert!(works.close().await);
}

async fn a_delayed_job_is_handed_out_when_it_is_due(stage: Stage) {
    let works = stage.work(done);
    let warm = stage.node.add(json!({})).await;
    stage.node.wait(&warm).await;
    let added = Instant::now();
    let first = stage.node.add(json!({ "delay": 400, "priority": 8 })).await;
    let second = stage.node.add(json!({ "delay": 400, "priority": 8 })).await;
    assert_eq!(text(&stage.node.job(&first).await, "state"), "delayed");
    let at = works.saw(&first).await - added;
    assert!(at >= Duration::from_millis(390), "{at:?}");
    assert!(at < Duration::from_millis(1000), "{at:?}");
    works.saw(&second).await;
    assert_eq!(works.ids(), [warm, first.clone(), second.clone()]);
    stage.node.wait(&second).await;
    let happened = stage.node.events(&first).await;
    let told = [
        "added",
        "delayed",
        "waiting after delayed",
        "active",
        "completed",
    ];
    assert_eq!(happened, told);
    let due = works.seen()[1].due_at.timestamp_millis();
    assert_eq!(due, works.seen()[1].key.added_at + 400);
    assert!(works.close().await);
}

async fn a_paused_queue_hands_out_nothing_until_it_is_resumed(stage: Stage) {
    let works = stage.work(done);
    let warm = stage.node.add(json!({})).await;
    stage.node.wait(&warm).await;
    stage.node.ask("pause", json!({})).await;
    until("health that tells of the pause", || async {
        works.health().paused.then_some(())
    })
    .await;
    let urgent = stage.node.add(json!({ "priority": 3 })).await;
    let plain = stage.node.add(json!({})).await;
    let delayed = stage.node.add(json!({ "delay": 50 })).await;
    // Longer than an idle consumer waits until it looks by itself.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(works.ids(), [warm]);
    let counts = stage.queue(options()).counts().await.unwrap();
    assert!(counts.paused);
    assert_eq!(counts.waiting + counts.delayed, 3, "{counts:?}");
    stage.node.ask("resume", json!({})).await;
    for id in [&urgent, &plain, &delayed] {
        works.saw(id).await;
    }
    assert!(works.close().await);
}

/// The first job of a scheduler stores its backoff as a bare number, which the crate cannot read.
async fn a_scheduler_goes_on_and_keeps_its_attempts(stage: Stage) {
    let works = Works::start(&stage.queue(options()), |job| match job.attempts_made {
        0 => Outcome::Retry("not yet".to_owned()),
        _ => done(job),
    });
    let scheduler = json!({
        "scheduler": "every-300",
        "repeat": { "every": 300 },
        "template": { "name": "tick", "data": { "userId": "u" }, "opts": { "attempts": 2, "backoff": 20 } },
    });
    stage.node.ask("upsert", scheduler).await;
    until("five iterations, each at its second attempt", || async {
        let seen = works.seen();
        let second = seen.iter().filter(|job| job.attempts_made == 1).count();
        (second >= 5).then_some(())
    })
    .await;
    assert!(works.seen().iter().all(|job| job.attempts == 2));
    let mut first = works.seen();
    first.retain(|job| job.attempts_made == 0);
    let mut ids: Vec<_> = first.iter().map(|job| job.key.id.clone()).collect();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "no iteration runs twice");
    stage
        .node
        .ask("removeScheduler", json!({ "scheduler": "every-300" }))
        .await;
    assert!(works.close().await);
    assert_eq!(stage.node.counts().await["failed"], 0);
}
