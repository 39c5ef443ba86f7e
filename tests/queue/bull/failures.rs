//! Failures: attempts and backoff as the producer set them, final ones at once, unreadable data.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use vigia::queue::{MOST_BYTES, Outcome, Payload};

use super::with_both;
use crate::stage::{Stage, Works, done, options, text};
use crate::waiting::until;

with_both!(
    a_failure_is_told_with_its_reason,
    attempts_and_backoff_are_the_producers,
    every_stored_form_of_options_is_obeyed,
    a_final_failure_is_not_attempted_again,
    a_failed_job_runs_again_by_hand_and_a_delayed_one_at_once,
    bad_data_fails_its_job_and_no_other,
    setting_aside_and_handing_back_cost_no_attempt,
);

async fn a_failure_is_told_with_its_reason(stage: Stage) {
    let works = stage.work(|_| Outcome::Retry("the exchange is away".to_owned()));
    let id = stage.node.add(json!({ "attempts": 1 })).await;
    assert_eq!(
        stage.node.wait(&id).await,
        json!({ "failed": "the exchange is away" })
    );
    let job = stage.node.job(&id).await;
    assert_eq!(text(&job, "state"), "failed");
    assert_eq!(job["stacktrace"], json!(["the exchange is away"]));
    let happened = stage.node.events(&id).await;
    let told = ["added", "waiting", "active", "failed", "retries-exhausted"];
    assert_eq!(happened, told);
    assert!(works.close().await);
}

async fn attempts_and_backoff_are_the_producers(stage: Stage) {
    let works = stage.work(|job| Outcome::Retry(format!("attempt {}", job.attempts_made + 1)));
    let backoff = json!({ "type": "exponential", "delay": 150 });
    let opts = json!({ "attempts": 3, "priority": 8, "backoff": backoff });
    let id = stage.node.add(opts).await;
    // Between the attempts it shows what Node shows.
    let between = until("wait for the second attempt", || async {
        let job = stage.node.job(&id).await;
        (text(&job, "state") == "delayed" && job["attemptsMade"] == 1).then_some(job)
    })
    .await;
    assert_eq!(between["delay"], 150);
    assert_eq!(text(&between, "failedReason"), "attempt 1");
    assert_eq!(stage.node.wait(&id).await, json!({ "failed": "attempt 3" }));
    let job = stage.node.job(&id).await;
    assert_eq!(
        (&job["attemptsMade"], &job["attemptsStarted"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(
        job["stacktrace"],
        json!(["attempt 1", "attempt 2", "attempt 3"])
    );
    let happened = stage.node.events(&id).await;
    let again = ["delayed", "waiting after delayed", "active"];
    let told = [
        &["added", "waiting", "active"][..],
        &again,
        &again,
        &["failed", "retries-exhausted"],
    ];
    assert_eq!(happened, told.concat());
    // The old worker's options: the regression that stranded jobs with another crate.
    let backoff = json!({ "type": "exponential", "delay": 2000 });
    let opts = json!({ "attempts": 3, "priority": 8, "backoff": backoff,
        "removeOnComplete": 100, "removeOnFail": 50 });
    let id = stage.node.add(opts).await;
    until("wait of 2 s for the second attempt", || async {
        let job = stage.node.job(&id).await;
        (text(&job, "state") == "delayed" && job["delay"] == 2000).then_some(())
    })
    .await;
    // None: at once.
    let id = stage.node.add(json!({ "attempts": 2 })).await;
    stage.node.wait(&id).await;
    let happened = stage.node.events(&id).await;
    assert_eq!(happened[2..5], ["active", "waiting after active", "active"]);
    assert!(works.close().await);
}

/// Written past the producer's checks, as they lie in queues of other versions.
async fn every_stored_form_of_options_is_obeyed(stage: Stage) {
    let works = stage.work(|job| match job.attempts_made {
        0 => Outcome::Retry("once".to_owned()),
        _ => done(job),
    });
    for (stored, attempts) in [
        (r#"{"attempts":2,"backoff":30}"#, 2),
        (r#"{"attempts":2,"backoff":30.5}"#, 2),
        (
            r#"{"attempts":2,"backoff":{"type":"exponential","delay":29.5,"jitter":0.5}}"#,
            2,
        ),
        (r#"{"attempts":2,"backoff":"unheard-of"}"#, 2),
        (
            r#"{"attempts":2,"removeOnComplete":{"age":3600.5},"removeOnFail":-1,"new":[1]}"#,
            2,
        ),
        (r#"{"attempts":2,"repeat":{"endDate":"2030-01-01"}}"#, 2),
        (r"{}", 1),
        ("", 1),
        ("broken", 1),
    ] {
        stage.node.ask("pause", json!({})).await;
        let id = stage.node.add(json!({ "priority": 8 })).await;
        let key = format!("bull:automation-execute:{id}");
        stage.node.redis(&["HSET", &key, "opts", stored]).await;
        stage.node.ask("resume", json!({})).await;
        until(
            &format!("end of a job with the options {stored}"),
            || async {
                let made = stage.node.redis(&["HGET", &key, "atm"]).await;
                (made == json!(attempts.to_string())).then_some(())
            },
        )
        .await;
        let reason = stage.node.redis(&["HGET", &key, "failedReason"]).await;
        assert_eq!(reason, json!("once"), "{stored}");
        let value = stage.node.redis(&["HEXISTS", &key, "returnvalue"]).await;
        assert_eq!(value, json!(i32::from(attempts == 2)), "{stored}");
    }
    assert!(works.close().await);
}

async fn a_final_failure_is_not_attempted_again(stage: Stage) {
    let works = stage.work(|_| Outcome::Failed("there is no such automation".to_owned()));
    let backoff = json!({ "type": "exponential", "delay": 10 });
    let id = stage
        .node
        .add(json!({ "attempts": 3, "backoff": backoff }))
        .await;
    let answer = stage.node.wait(&id).await;
    assert_eq!(answer, json!({ "failed": "there is no such automation" }));
    let job = stage.node.job(&id).await;
    assert_eq!(job["attemptsMade"], 1);
    let happened = stage.node.events(&id).await;
    assert_eq!(happened, ["added", "waiting", "active", "failed"]);
    assert!(works.close().await);
}

async fn a_failed_job_runs_again_by_hand_and_a_delayed_one_at_once(stage: Stage) {
    let tries = AtomicU32::new(0);
    let works = stage.work(move |job| match tries.fetch_add(1, Ordering::SeqCst) {
        0 | 2 => Outcome::Failed("not now".to_owned()),
        _ => done(job),
    });
    let id = stage.node.add(json!({ "priority": 8 })).await;
    stage.node.wait(&id).await;
    stage.node.ask("retry", json!({ "job": id })).await;
    until("success of the second try", || async {
        let job = stage.node.job(&id).await;
        (text(&job, "state") == "completed").then_some(())
    })
    .await;
    let job = stage.node.job(&id).await;
    assert_eq!(job["attemptsMade"], 2);
    assert_eq!(job["stacktrace"], json!(["not now"]), "it stays");
    // And by our own hand.
    let queue = stage.queue(options());
    let id = stage.node.add(json!({})).await;
    stage.node.wait(&id).await;
    assert!(
        queue.retry(text(&job, "id")).await.is_err(),
        "it is completed"
    );
    queue.retry(&id).await.unwrap();
    until("success after the retry", || async {
        let entry = queue.show(&id).await.unwrap();
        entry
            .return_value
            .filter(|value| *value == json!({ "status": "completed" }))
    })
    .await;
    let id = stage.node.add(json!({ "delay": 600_000 })).await;
    stage.node.ask("promote", json!({ "job": id })).await;
    stage.node.wait(&id).await;
    assert!(works.close().await);
}

async fn bad_data_fails_its_job_and_no_other(stage: Stage) {
    let works = stage.work(|job| match Payload::parse(&job.data) {
        Ok(_) => done(job),
        Err(error) => Outcome::Failed(error.to_string()),
    });
    stage.node.ask("pause", json!({})).await;
    let broken = stage.node.add(json!({ "attempts": 3 })).await;
    let key = format!("bull:automation-execute:{broken}");
    stage
        .node
        .redis(&["HSET", &key, "data", "{\"userId\":"])
        .await;
    let mut bad = vec![];
    let large = "x".repeat(1024 * 1024);
    for (data, told) in [
        (json!({}), "userId: is missing; automationId: is missing"),
        (json!([1]), "it is no object"),
        (json!("text"), "it is no object"),
        (Value::Null, "it is no object"),
        (
            json!({ "userId": 1, "automationId": "a" }),
            "userId: is no text",
        ),
        (
            json!({ "userId": "u", "automationId": "a", "x": large }),
            "bytes, 65536 at most",
        ),
    ] {
        bad.push((
            stage.node.add_with(data, json!({ "attempts": 3 })).await,
            told,
        ));
    }
    assert_eq!(MOST_BYTES, 65536);
    let good = stage.node.add(json!({})).await;
    // A job that somebody removed in a way that leaves its id behind.
    stage
        .node
        .redis(&["LPUSH", "bull:automation-execute:wait", "phantom"])
        .await;
    let last = stage.node.add(json!({})).await;
    stage.node.ask("resume", json!({})).await;
    for id in [&good, &last] {
        assert_eq!(stage.node.wait(id).await["returned"]["status"], "completed");
    }
    for (id, told) in bad {
        let answer = stage.node.wait(&id).await;
        assert!(text(&answer, "failed").contains(told), "{told}: {answer}");
        assert_eq!(stage.node.job(&id).await["attemptsMade"], 1, "{told}");
    }
    let reason = until("failure of the job that is no JSON", || async {
        let reason = stage.node.redis(&["HGET", &key, "failedReason"]).await;
        reason.as_str().map(str::to_owned)
    })
    .await;
    assert!(reason.contains("it is no JSON"), "{reason}");
    let active = stage
        .node
        .redis(&["LLEN", "bull:automation-execute:active"])
        .await;
    assert_eq!(active, json!(0));
    assert!(works.close().await);
}

async fn setting_aside_and_handing_back_cost_no_attempt(stage: Stage) {
    let works = Works::reluctant(&stage.queue(options()));
    let id = stage
        .node
        .add(json!({ "priority": 8, "attempts": 1 }))
        .await;
    stage.node.wait(&id).await;
    let seen = works.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|job| job.attempts_made == 0));
    let happened = stage.node.events(&id).await;
    let told = [
        "added",
        "waiting",
        "active",
        "delayed",
        "waiting after delayed",
        "active",
        "waiting after active",
        "active",
        "waiting after active",
        "active",
        "completed",
    ];
    assert_eq!(happened, told);
    assert!(works.close().await);
}
