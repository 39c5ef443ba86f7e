//! Thousands of jobs of one account wait: a job of another account starts all the same. The figures are
//! those of a build with the profile `fast`; one for debugging finds what is broken.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::queue::NewJob;

use crate::node::Node;
use crate::scene::{Backend, Scene, USER, buying, job, waiting};
use crate::watchman::Watchman;

/// Jobs of the one account.
const FLOOD: usize = if cfg!(debug_assertions) { 3000 } else { 10_000 };
/// Of so many automations of its.
const AUTOMATIONS: usize = 10;
/// Jobs of the other account that are measured while the flood lasts.
const ON_REDIS_SAMPLES: usize = 3;
const ON_A_DATABASE_SAMPLES: usize = 25;
/// Longer than this nothing is waited for.
const AT_LAST: Duration = Duration::from_secs(60);
/// Between looks at the log.
const LOOK: Duration = Duration::from_millis(25);
/// The promises.
const ON_REDIS: Duration = Duration::from_secs(5);
/// Of the program as it is shipped, alone; a build for debugging is many times slower, and runs beside
/// other tests.
const ON_A_DATABASE: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 100 });

fn request(automation: &AutomationId) -> Value {
    json!({ "userId": USER, "automationId": automation })
}

/// When the job of the other account began that is to be its `nth` from 0: its request to the exchange,
/// as logged. The flood asks for nothing at the exchange.
async fn begins(watchman: &Watchman, nth: usize) -> DateTime<Utc> {
    const SENT: &str = "execution.sending";
    let deadline = Instant::now() + AT_LAST;
    while watchman.count(SENT) <= nth {
        assert!(Instant::now() < deadline, "not within {AT_LAST:?}");
        // Whoever looks more often takes the processor from what is measured.
        tokio::time::sleep(LOOK).await;
    }
    let lines = watchman.lines();
    let mut sent = lines.iter().filter(|line| line["event"] == SENT);
    let line = sent.nth(nth).unwrap();
    assert_eq!(line["account_name"], "other");
    line["timestamp"].as_str().unwrap().parse().unwrap()
}

struct Flood {
    scene: Scene,
    of_one: Vec<AutomationId>,
    of_other: AutomationId,
}

impl Flood {
    async fn prepared(backend: Backend) -> Self {
        // What is looked at must not have been forgotten for the flood's sake.
        let scene = Scene::on(backend, &[("queue.keep_completed", 2 * FLOOD as i64)]).await;
        let one = scene.player("one").await;
        let mut of_one = vec![];
        for _ in 0..AUTOMATIONS {
            // Entries are never taken for equal: each job is carried out.
            of_one.push(scene.by_job(&one, RuleKind::AutoEntry, waiting()).await);
        }
        let other = scene.player("other").await;
        let of_other = scene.by_job(&other, RuleKind::AutoEntry, buying()).await;
        Self {
            scene,
            of_one,
            of_other,
        }
    }

    fn jobs(&self) -> impl Iterator<Item = Value> + '_ {
        let automations = self.of_one.iter().cycle();
        automations.take(FLOOD).map(request)
    }

    /// How many jobs there are that have not ended.
    async fn waiting(&self) -> u64 {
        let counts = self.scene.queue.counts().await.unwrap();
        counts.waiting + counts.delayed + counts.active
    }

    /// How long jobs of the other account wait for their start, one after the other.
    async fn samples(&self, watchman: &Watchman, count: usize, priority: u32) -> Vec<Duration> {
        let mut waits = vec![];
        for _ in 0..count {
            let nth = watchman.count("execution.sending");
            let sample = NewJob {
                priority,
                ..job(request(&self.of_other))
            };
            let id = self.scene.queue.add(sample).await.unwrap().id;
            let asked = self.scene.stage.clock.utc();
            let wait = begins(watchman, nth).await - asked;
            waits.push(wait.to_std().unwrap_or_default());
            self.scene.told(&id).await;
        }
        waits.sort();
        waits
    }
}

fn print(backend: Backend, left: u64, waits: &[Duration]) {
    println!(
        "{backend:?}: {left} jobs of one account wait; another account's started after {:?} \
         (median of {}), at most {:?}",
        waits[waits.len() / 2],
        waits.len(),
        waits[waits.len() - 1]
    );
}

/// With this priority of all jobs; 0 is none.
async fn on_redis(priority: u32) {
    let options = json!({ "priority": priority });
    let flood = Flood::prepared(Backend::Redis).await;
    let node = Node::start(6, &flood.scene.redis_url(), "automation-execute").await;
    let watchman = flood.scene.start(2).await;
    node.ask("pause", json!({})).await;
    let jobs: Vec<_> = flood.jobs().collect();
    for some in jobs.chunks(1000) {
        let jobs = some.iter();
        let jobs: Vec<_> = jobs
            .map(|data| json!({ "name": "execute", "data": data, "opts": options }))
            .collect();
        node.ask("addBulk", json!({ "jobs": jobs })).await;
    }
    // The last of all, and no more urgent than they are.
    let other = request(&flood.of_other);
    let id = node.add_with(other, options.clone()).await;
    assert_eq!(flood.waiting().await, FLOOD as u64 + 1);
    node.ask("resume", json!({})).await;
    let resumed = flood.scene.stage.clock.utc();
    drop(node);
    let wait = begins(&watchman, 0).await - resumed;
    let wait = wait.to_std().unwrap_or_default();
    let left = flood.waiting().await;
    println!(
        "Redis: {FLOOD} jobs of one account before it ({options}): another account's started after \
         {wait:?}, when {left} had not ended"
    );
    assert_eq!(flood.scene.told(&id).await["status"], "completed");
    let waits = flood.samples(&watchman, ON_REDIS_SAMPLES, priority).await;
    print(Backend::Redis, flood.waiting().await, &waits);
    assert!(wait <= ON_REDIS, "{wait:?}");
    assert!(waits[ON_REDIS_SAMPLES - 1] <= ON_REDIS, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_on_redis_with_a_priority() {
    on_redis(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_on_redis_without_priorities() {
    on_redis(0).await;
}

async fn on_a_database(backend: Backend) {
    let flood = Flood::prepared(backend).await;
    let jobs: Vec<_> = flood.jobs().map(job).collect();
    for some in jobs.chunks(500) {
        let adding = some.iter().map(|job| flood.scene.queue.add(job.clone()));
        for added in join_all(adding).await {
            added.unwrap();
        }
    }
    let watchman = flood.scene.start(2).await;
    let waits = flood.samples(&watchman, ON_A_DATABASE_SAMPLES, 8).await;
    let left = flood.waiting().await;
    print(backend, left, &waits);
    assert!(left > FLOOD as u64 / 2, "the flood was over: {left} left");
    assert!(
        waits[ON_A_DATABASE_SAMPLES - 1] <= ON_A_DATABASE,
        "{waits:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_on_sqlite() {
    on_a_database(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_on_postgresql() {
    on_a_database(Backend::Postgres).await;
}
