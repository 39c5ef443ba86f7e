//! Redis goes away and comes back: taking resumes by itself within 3 s, nothing in hand is lost or
//! carried out twice, and the health says what is wrong.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vigia::queue::{Health, JobQueue, Link, NewJob, Outcome};

use crate::network::Network;
use crate::node::Node;
use crate::outage::Outage;
use crate::redis_server::RedisServer;
use crate::stage::{QUEUE, Works, bull, done, options, short, text};
use crate::waiting::until;

/// The promise.
const RESUMED_WITHIN: Duration = Duration::from_secs(3);

fn job() -> NewJob {
    NewJob {
        id: None,
        data: json!({ "userId": "u", "automationId": "a" }),
        priority: 8,
        delay: Duration::ZERO,
        attempts: 1,
        backoff: None,
        keep_completed: None,
        keep_failed: None,
    }
}

async fn connected(works: &Works) -> Health {
    until("health that says that all is well", || async {
        let health = works.health();
        (health.link == Link::Connected).then_some(health)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_resumes_within_three_seconds_after_every_outage() {
    let times = if std::env::var_os("VIGIA_LONG").is_some() {
        100
    } else {
        10
    };
    let mut redis = RedisServer::durable().await;
    let network = Network::to(redis.port()).await;
    let works = Works::start(&bull(&network.url(), short()), done);
    let direct = bull(&redis.url(), options());
    connected(&works).await;
    let mut gaps = vec![];
    let mut added = vec![];
    for round in 0..times {
        let outage = Outage::ALL[round % Outage::ALL.len()];
        outage.begin(&mut redis, &network);
        let cause = works.lost().await;
        assert!(!cause.is_empty());
        // Outages of all lengths, and now and then one that outlasts the crate's quick attempts to
        // come back by itself.
        let lasts = match round % 10 {
            8 => Duration::from_secs(12),
            _ => Duration::from_millis((round as u64 * 337) % 2500),
        };
        tokio::time::sleep(lasts).await;
        outage.end(&mut redis, &network).await;
        let back = Instant::now();
        let id = direct.add(job()).await.unwrap().id;
        let gap = works.saw(&id).await - back;
        added.push(id);
        println!("{outage:?} for {lasts:?} more ({cause}): resumed {gap:?} after it was back");
        gaps.push(gap);
    }
    gaps.sort();
    let within = gaps.iter().filter(|gap| **gap <= RESUMED_WITHIN).count();
    println!(
        "{within} of {times} outages: resumed within {RESUMED_WITHIN:?}; median {:?}, longest {:?}",
        gaps[times / 2],
        gaps[times - 1]
    );
    assert_eq!(within, times);
    until("end of all jobs", || async {
        let counts = direct.counts().await.ok()?;
        (counts.active == 0 && counts.waiting == 0).then_some(())
    })
    .await;
    let mut ids = works.ids();
    ids.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(ids, added, "each once");
    assert_eq!(works.health().resumptions, times as u64);
    assert!(works.close().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_during_an_outage_is_recorded_after_it_once() {
    let mut redis = RedisServer::durable().await;
    let queue = bull(&redis.url(), options());
    let (works, go) = Works::when_told(&queue, |job| match job.priority {
        1 => Outcome::Failed("for good".to_owned()),
        2 => Outcome::Later(Duration::from_secs(600)),
        _ => done(job),
    });
    let mut ids = vec![];
    for priority in [1, 2, 8, 8] {
        let job = NewJob { priority, ..job() };
        ids.push(queue.add(job).await.unwrap().id);
    }
    for id in &ids {
        works.saw(id).await;
    }
    redis.kill();
    works.lost().await;
    go.send_replace(true);
    // Time for outcomes to be given in vain: of that nothing is told.
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.restart().await;
    for (id, state) in ids
        .iter()
        .zip(["failed", "delayed", "completed", "completed"])
    {
        until(&format!("job {id} to be {state}"), || async {
            let entry = queue.show(id).await.ok()?;
            (entry.state.as_str() == state).then_some(())
        })
        .await;
    }
    assert_eq!(works.ids().len(), 4, "nothing was handed out again");
    assert!(works.close().await);
}

/// The outcome is on its way when Redis dies: nobody can know whether it arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_was_lost_on_its_way_is_given_again_without_running_again() {
    let mut redis = RedisServer::durable().await;
    let queue = bull(&redis.url(), short());
    let (works, go) = Works::when_told(&queue, done);
    let id = queue.add(job()).await.unwrap().id;
    works.saw(&id).await;
    // Frozen, it takes the outcome from the network but not into its books: nobody sees it arrive.
    redis.freeze();
    go.send_replace(true);
    tokio::time::sleep(Duration::from_millis(200)).await;
    redis.kill();
    redis.restart().await;
    let entry = until("completion of the job", || async {
        let entry = queue.show(&id).await.ok()?;
        (entry.state.as_str() == "completed").then_some(entry)
    })
    .await;
    assert_eq!(entry.return_value, Some(json!({ "status": "completed" })));
    assert_eq!(works.ids(), [id], "handed out once");
    assert!(works.close().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_may_start_before_its_redis_and_live_through_a_flush() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let queue = bull(&redis.url(), options());
    let works = Works::start(&queue, done);
    let cause = works.lost().await;
    assert!(cause.contains("refused"), "{cause}");
    let error = queue.counts().await.unwrap_err().to_string();
    assert!(
        error.contains("REDIS_URL") && error.contains("refused"),
        "{error}"
    );
    redis.restart().await;
    connected(&works).await;
    let node = Node::start(6, &redis.url(), QUEUE).await;
    let first = node.add(json!({ "priority": 8 })).await;
    node.wait(&first).await;
    node.redis(&["FLUSHALL"]).await;
    let again = node.add(json!({ "priority": 8 })).await;
    assert_eq!((first.as_str(), again.as_str()), ("1", "1"));
    let answer = node.wait(&again).await;
    assert_eq!(text(&answer["returned"], "status"), "completed");
    let seen = works.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].key, seen[1].key, "another job of that id");
    assert!(works.close().await);
}

/// Redis answers, but refuses to write: that is no reason to be silent either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_to_write_is_told_of() {
    let redis = RedisServer::start().await;
    let node = Node::start(6, &redis.url(), QUEUE).await;
    let queue: JobQueue = bull(&redis.url(), options());
    let works = Works::start(&queue, done);
    connected(&works).await;
    let other = RedisServer::start().await;
    let port = other.port().to_string();
    node.redis(&["REPLICAOF", "127.0.0.1", &port]).await;
    until("health that says that it is read-only", || async {
        let cause = works.lost().await;
        cause.to_uppercase().contains("READONLY").then_some(())
    })
    .await;
    node.redis(&["REPLICAOF", "NO", "ONE"]).await;
    connected(&works).await;
    let id = node.add(json!({ "priority": 8 })).await;
    node.wait(&id).await;
    assert!(works.close().await);
}
