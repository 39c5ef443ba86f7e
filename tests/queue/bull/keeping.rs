//! What is kept, and what is not added twice.

use serde_json::{Value, json};
use vigia::queue::{JobState, NewJob, Outcome};

use super::with_both;
use crate::stage::{Stage, Works, done, options, text};
use crate::waiting::until;

with_both!(
    the_last_hundred_and_fifty_are_kept,
    all_forms_of_keeping_are_obeyed,
    a_job_of_an_own_id_is_added_once_while_it_is_kept,
    deduplication_lets_go_when_the_job_has_ended,
    nothing_is_left_behind_after_a_load,
);

async fn the_last_hundred_and_fifty_are_kept(stage: Stage) {
    let works = stage.work(|job| match job.priority {
        1 => Outcome::Failed("as told".to_owned()),
        _ => done(job),
    });
    // Nobody says anything about keeping: our own settings.
    for (priority, count) in [(8, 130), (1, 70)] {
        let one = json!({ "name": "n", "data": {}, "opts": { "priority": priority } });
        stage
            .node
            .ask("addBulk", json!({ "jobs": vec![one; count] }))
            .await;
    }
    until("end of all jobs", || async {
        let counts = stage.node.counts().await;
        (works.seen().len() == 200 && counts["active"] == 0).then_some(())
    })
    .await;
    let counts = stage.node.counts().await;
    assert_eq!(
        (&counts["completed"], &counts["failed"]),
        (&json!(100), &json!(50))
    );
    assert!(works.close().await);
}

async fn all_forms_of_keeping_are_obeyed(stage: Stage) {
    let works = stage.work(done);
    for (keep, kept) in [
        (json!(true), 0),
        (json!(false), 4),
        (json!(3), 3),
        (json!({ "count": 2 }), 2),
        (json!({ "age": 3600 }), 3),
        (json!({ "count": 0 }), 3),
        (json!({ "age": 3600, "count": 1 }), 1),
    ] {
        // What those before left stays: the policy of the last job counts for all.
        let mut ids = vec![];
        for _ in 0..4 {
            ids.push(stage.node.add(json!({ "removeOnComplete": false })).await);
        }
        for id in &ids {
            stage.node.wait(id).await;
        }
        let before = stage.node.counts().await["completed"].as_u64().unwrap();
        let last = stage.node.add(json!({ "removeOnComplete": keep })).await;
        works.saw(&last).await;
        until("end of the last job", || async {
            (stage.node.counts().await["active"] == 0).then_some(())
        })
        .await;
        let after = stage.node.counts().await["completed"].as_u64().unwrap();
        let expected = match (&keep, kept) {
            (_, 0) => before,
            (keep, _) if *keep == json!({ "count": 0 }) => before,
            (keep, _) if *keep == json!(false) || *keep == json!({ "age": 3600 }) => before + 1,
            (_, kept) => kept,
        };
        assert_eq!(after, expected, "{keep}");
    }
    assert!(works.close().await);
}

async fn a_job_of_an_own_id_is_added_once_while_it_is_kept(stage: Stage) {
    let works = stage.work(done);
    let own = json!({ "jobId": "close-7", "removeOnComplete": 1 });
    assert_eq!(stage.node.add(own.clone()).await, "close-7");
    stage.node.wait("close-7").await;
    assert_eq!(stage.node.add(own.clone()).await, "close-7");
    let happened = stage.node.events("close-7").await;
    assert_eq!(happened.last().unwrap(), "duplicated");
    let ours = || NewJob {
        id: Some("close-7".to_owned()),
        data: json!({}),
        priority: 8,
        delay: std::time::Duration::ZERO,
        attempts: 1,
        backoff: None,
        keep_completed: None,
        keep_failed: None,
    };
    let queue = stage.queue(options());
    assert!(queue.add(ours()).await.unwrap().existed);
    assert_eq!(works.ids(), ["close-7"]);
    let other = stage.node.add(json!({ "removeOnComplete": 1 })).await;
    stage.node.wait(&other).await;
    until("removal of the first job", || async {
        stage.node.job("close-7").await.is_null().then_some(())
    })
    .await;
    assert!(!queue.add(ours()).await.unwrap().existed);
    stage.node.wait("close-7").await;
    let first = &works.seen()[0].key;
    let last = &works.seen()[2].key;
    assert_eq!(first.id, last.id);
    assert_ne!(first, last, "a new job");
    assert!(works.close().await);
}

async fn deduplication_lets_go_when_the_job_has_ended(stage: Stage) {
    let (works, go) = Works::when_told(&stage.queue(options()), done);
    let simple = json!({ "deduplication": { "id": "guard-1" } });
    let first = stage.node.add(simple.clone()).await;
    assert_eq!(stage.node.add(simple.clone()).await, first);
    let last = json!({ "deduplication": { "id": "guard-2", "keepLastIfActive": true } });
    let kept = stage.node.add_with(json!({ "n": 1 }), last.clone()).await;
    works.saw(&kept).await;
    for n in [2, 3] {
        stage.node.add_with(json!({ "n": n }), last.clone()).await;
    }
    go.send_replace(true);
    stage.node.wait(&first).await;
    let follow = until("one follow-up with the last data", || async {
        works.seen().get(2).cloned()
    })
    .await;
    assert_eq!(follow.data, r#"{"n":3}"#);
    stage.node.wait(&follow.key.id).await;
    for key in ["de:guard-1", "de:guard-2", "dn:guard-2"] {
        let key = format!("bull:automation-execute:{key}");
        assert_eq!(stage.node.redis(&["EXISTS", &key]).await, json!(0), "{key}");
    }
    assert_ne!(stage.node.add(simple).await, first);
    assert!(works.close().await);
}

/// Two thousand of a job, carried out to the last.
pub async fn load(stage: &Stage, one: &Value) {
    stage
        .node
        .ask("addBulk", json!({ "jobs": vec![one; 2000] }))
        .await;
    until("end of all jobs", || async {
        let counts = stage.node.counts().await;
        (counts["active"] == 0 && counts["prioritized"] == 0).then_some(())
    })
    .await;
}

async fn nothing_is_left_behind_after_a_load(stage: Stage) {
    let works = stage.work(done);
    let one =
        json!({ "name": "n", "data": {}, "opts": { "priority": 8, "removeOnComplete": 100 } });
    load(&stage, &one).await;
    let mut ids = works.ids();
    ids.sort();
    ids.dedup();
    assert_eq!((works.ids().len(), ids.len()), (2000, 2000));
    let keys = stage
        .node
        .redis(&["KEYS", "bull:automation-execute:*"])
        .await;
    let keys: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|key| key.as_str())
        .collect();
    assert!(keys.iter().all(|key| !key.ends_with(":lock")), "{keys:?}");
    for key in ["active", "stalled", "pc"] {
        let key = format!("bull:automation-execute:{key}");
        assert!(!keys.contains(&key.as_str()), "{key}");
    }
    let hashes = keys
        .iter()
        .filter(|key| key.rsplit(':').next().unwrap().parse::<u32>().is_ok());
    assert_eq!(hashes.count(), 100);
    let listed = stage
        .queue(options())
        .list(Some(JobState::Completed), 10)
        .await
        .unwrap();
    assert_eq!(listed.len(), 10);
    assert!(listed.is_sorted_by(|a, b| a.finished_at >= b.finished_at));
    assert_eq!(
        text(&stage.node.job(&listed[0].id).await, "state"),
        "completed"
    );
    assert!(works.close().await);
}
