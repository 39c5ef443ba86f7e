//! Several workers, of ours and of Node; limits that a dashboard sets; jobs of ours at a Node worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vigia::queue::{Backoff, NewJob};

use super::keeping::load;
use super::with_both;
use crate::stage::{Stage, Works, done, options, text};
use crate::waiting::until;

with_both!(
    each_job_goes_to_one_worker_of_a_mixed_fleet,
    a_job_of_ours_is_carried_out_by_a_node_worker,
    a_limit_of_jobs_at_once_is_kept,
);

async fn each_job_goes_to_one_worker_of_a_mixed_fleet(stage: Stage) {
    let mut ours = options();
    ours.take = 5;
    let works = Works::start(&stage.queue(ours), done);
    stage.node.ask("work", json!({})).await;
    let one = json!({ "name": "n", "data": {}, "opts": { "priority": 8 } });
    load(&stage, &one).await;
    let theirs = stage.node.ask("worked", json!({})).await;
    let theirs = theirs
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap().to_owned());
    let (theirs, ours): (Vec<_>, _) = (theirs.collect(), works.ids());
    println!(
        "a mixed fleet: {} jobs by us, {} by a Node worker",
        ours.len(),
        theirs.len()
    );
    assert_eq!(ours.len() + theirs.len(), 2000);
    let all: HashSet<_> = ours.iter().chain(&theirs).collect();
    assert_eq!(all.len(), 2000);
    assert!(!ours.is_empty() && !theirs.is_empty());
    stage.node.ask("stopWork", json!({})).await;
    assert!(works.close().await);
}

async fn a_job_of_ours_is_carried_out_by_a_node_worker(stage: Stage) {
    let queue = stage.queue(options());
    let job = |delay| NewJob {
        id: None,
        data: json!({ "userId": "u", "automationId": "a" }),
        priority: 8,
        delay: Duration::from_millis(delay),
        attempts: 3,
        backoff: Some(Backoff::Exponential(Duration::from_secs(2))),
        keep_completed: None,
        keep_failed: None,
    };
    let at_once = queue.add(job(0)).await.unwrap().id;
    let delayed = queue.add(job(300)).await.unwrap().id;
    assert_eq!(text(&stage.node.job(&delayed).await, "state"), "delayed");
    let shown = stage.node.job(&at_once).await;
    let backoff = json!({ "type": "exponential", "delay": 2000 });
    assert_eq!(shown["opts"]["backoff"], backoff);
    assert_eq!(shown["opts"]["attempts"], 3);
    assert_eq!(shown["opts"]["removeOnComplete"], 100);
    assert_eq!(shown["opts"]["removeOnFail"], 50);
    assert_eq!(shown["data"], json!({ "userId": "u", "automationId": "a" }));
    stage.node.ask("work", json!({})).await;
    for id in [at_once, delayed] {
        assert_eq!(stage.node.wait(&id).await, json!({ "returned": null }));
        let entry = queue.show(&id).await.unwrap();
        assert_eq!(entry.state.as_str(), "completed");
        assert_eq!(entry.return_value, Some(Value::Null));
    }
    stage.node.ask("stopWork", json!({})).await;
}

async fn a_limit_of_jobs_at_once_is_kept(stage: Stage) {
    stage.node.ask("concurrency", json!({ "count": 2 })).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let works = Works::with(&stage.queue(options()), move |taken| {
        let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
        async move {
            let count = running.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(count, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            let outcome = done(&taken.job);
            taken.settle(outcome);
        }
    });
    let one = json!({ "name": "n", "data": {}, "opts": { "priority": 8 } });
    stage
        .node
        .ask("addBulk", json!({ "jobs": vec![one; 40] }))
        .await;
    until("end of all jobs", || async {
        (works.ids().len() == 40).then_some(())
    })
    .await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(works.close().await);
}
