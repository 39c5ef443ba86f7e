//! Locks: renewed while a job is in hand; abandoned jobs come back, ours and those of Node workers.

use std::time::Duration;

use serde_json::json;
use vigia::queue::{JobQueue, Taken};

use super::with_both;
use crate::stage::{QUEUE, Stage, Works, bull, done, options, short, text};
use crate::waiting::until;

with_both!(
    a_long_job_keeps_its_lock_and_a_stolen_one_is_not_recorded,
    what_a_killed_worker_had_in_hand_comes_back,
    closing_hands_back_what_was_not_begun,
);

async fn a_long_job_keeps_its_lock_and_a_stolen_one_is_not_recorded(stage: Stage) {
    let (go, gone) = tokio::sync::watch::channel(0);
    let queue = stage.queue(short());
    let works = Works::with(&queue, move |taken| {
        let mut gone = gone.clone();
        let turn = taken.job.priority;
        async move {
            gone.wait_for(|go| *go >= turn).await.unwrap();
            let outcome = done(&taken.job);
            taken.settle(outcome);
        }
    });
    let long = stage.node.add(json!({ "priority": 1 })).await;
    works.saw(&long).await;
    let lock = format!("bull:automation-execute:{long}:lock");
    // Three times as long as a lock lives.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left = stage.node.redis(&["PTTL", &lock]).await.as_i64().unwrap();
        assert!(left > 500, "{left} ms of 2,000 left");
    }
    go.send_replace(1);
    stage.node.wait(&long).await;
    assert_eq!(works.ids().len(), 1);
    assert!(
        !stage
            .node
            .events(&long)
            .await
            .contains(&"stalled".to_owned())
    );

    let stolen = stage.node.add(json!({ "priority": 2 })).await;
    let removed = stage.node.add(json!({ "priority": 2 })).await;
    works.saw(&stolen).await;
    works.saw(&removed).await;
    let lock = format!("bull:automation-execute:{stolen}:lock");
    stage
        .node
        .redis(&["SET", &lock, "somebody else", "PX", "600000"])
        .await;
    let hash = format!("bull:automation-execute:{removed}");
    stage.node.redis(&["DEL", &hash]).await;
    go.send_replace(2);
    let next = stage.node.add(json!({ "priority": 1 })).await;
    stage.node.wait(&next).await;
    let job = stage.node.job(&stolen).await;
    assert_eq!(
        text(&job, "state"),
        "active",
        "whoever has the lock will say"
    );
    assert!(
        !stage
            .node
            .events(&stolen)
            .await
            .contains(&"completed".to_owned())
    );
    assert_eq!(
        stage.node.redis(&["EXISTS", &hash]).await,
        json!(0),
        "no half of a job is made"
    );
    assert!(works.close().await);
}

/// Not a story of its own: a process that takes jobs and does nothing with them until it is killed.
#[tokio::test]
async fn holder() {
    if let Ok(url) = std::env::var("VIGIA_TEST_HOLDS_JOBS_OF") {
        let mut consumer = bull(&url, short()).consume();
        let mut hands: Vec<Taken> = vec![];
        while let Some(taken) = consumer.next().await {
            hands.push(taken);
        }
    }
}

/// That process. Killed when it is dropped.
struct Holder(std::process::Child);

impl Holder {
    fn start(stage: &Stage) -> Self {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["bull::leases::holder", "--exact"])
            .env("VIGIA_TEST_HOLDS_JOBS_OF", stage.redis.url())
            .stdout(std::process::Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn what_a_killed_worker_had_in_hand_comes_back(stage: Stage) {
    let mut ids = vec![];
    for _ in 0..5 {
        ids.push(stage.node.add(json!({ "priority": 8 })).await);
    }
    let all_active = async |stage: &Stage| {
        until("five jobs in hand", || async {
            (stage.node.counts().await["active"] == 5).then_some(())
        })
        .await;
    };
    let holder = Holder::start(&stage);
    all_active(&stage).await;
    drop(holder);
    // Once by a worker of ours that dies too: that is once too often for the jobs.
    let holder = Holder::start(&stage);
    until("jobs that stalled once, in other hands", || async {
        for id in &ids {
            let events = stage.node.events(id).await;
            if events.iter().filter(|event| *event == "active").count() < 2 {
                return None;
            }
        }
        Some(())
    })
    .await;
    drop(holder);
    let fresh = stage.node.add(json!({ "priority": 8 })).await;
    let works = Works::start(&stage.queue(short()), done);
    for id in &ids {
        let answer = stage.node.wait(id).await;
        assert_eq!(answer["failed"], "job stalled more than allowable limit");
        let events = stage.node.events(id).await;
        assert_eq!(events.iter().filter(|event| *event == "stalled").count(), 2);
    }
    stage.node.wait(&fresh).await;
    assert_eq!(
        works.ids(),
        [fresh],
        "those that failed were not handed out"
    );

    // And what we leave, a Node worker takes up.
    assert!(works.close().await);
    let holder = Holder::start(&stage);
    let left = stage.node.add(json!({ "priority": 8 })).await;
    until("job in hand", || async {
        (stage.node.counts().await["active"] == 1).then_some(())
    })
    .await;
    drop(holder);
    let queue: JobQueue = stage.queue(short());
    stage.node.ask("work", json!({})).await;
    // A Node worker looks for stalled jobs every 30 s: ours does it for all.
    let works = Works::with(&queue, |taken| async move {
        // A job that lasts.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let outcome = done(&taken.job);
        taken.settle(outcome);
    });
    stage.node.wait(&left).await;
    stage.node.ask("stopWork", json!({})).await;
    assert!(works.close().await);
    assert_eq!(QUEUE, "automation-execute");
}

async fn closing_hands_back_what_was_not_begun(stage: Stage) {
    let queue = stage.queue(options());
    let mut consumer = queue.consume();
    let mut ids = vec![];
    for _ in 0..4 {
        ids.push(stage.node.add(json!({ "priority": 8 })).await);
    }
    let first = consumer.next().await.unwrap();
    let second = consumer.next().await.unwrap();
    until("all jobs in hand", || async {
        (consumer.health().borrow().in_hand == 4).then_some(())
    })
    .await;
    let closing = tokio::spawn(consumer.close(Duration::from_secs(10)));
    drop(second);
    until("three jobs handed back", || async {
        (stage.node.counts().await["prioritized"] == 3).then_some(())
    })
    .await;
    let outcome = done(&first.job);
    first.settle(outcome);
    assert!(closing.await.unwrap());
    let job = stage.node.job(&ids[0]).await;
    assert_eq!(text(&job, "state"), "completed");
    for id in &ids[1..] {
        let job = stage.node.job(id).await;
        assert_eq!(
            (text(&job, "state"), &job["attemptsMade"]),
            ("prioritized", &json!(0))
        );
    }
}
