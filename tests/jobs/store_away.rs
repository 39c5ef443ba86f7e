//! The store goes away and comes back while jobs run and wait: each waits for it, is done once, and
//! loses no attempt by waiting.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use serde_json::json;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::queue::{JobState, NewJob};
use vigia::simulator::LedgerKind;

use crate::scene::{Backend, Scene, USER, buying, job};
use crate::waiting::until;

const JOBS: usize = 5;
/// Long enough for each job to be tried more than once.
const AWAY: Duration = Duration::from_secs(3);

/// More than one: an order that was about to be sent when the store went is proven not to have been,
/// and that is an attempt. Each time that a job waits would be another.
const ATTEMPTS: u32 = 3;

async fn ask(scene: &Scene, automation: &AutomationId) -> String {
    let data = json!({ "userId": USER, "automationId": automation });
    let job = NewJob {
        attempts: ATTEMPTS,
        ..job(data)
    };
    scene.queue.add(job).await.unwrap().id
}

async fn jobs_wait(backend: Backend) {
    let values = [
        ("store.timeout_ms", 300),
        ("queue.lock_ms", 2000),
        ("queue.stalled_ms", 500),
    ];
    let mut scene = Scene::on(backend, &values).await;
    let asked = scene.player("asked").await;
    let entry = scene.by_job(&asked, RuleKind::AutoEntry, buying()).await;
    let watchman = scene.start(1).await;
    let mut jobs = vec![ask(&scene, &entry).await];
    scene.told(&jobs[0]).await;
    for _ in 0..JOBS {
        jobs.push(ask(&scene, &entry).await);
    }
    let lock = match backend {
        Backend::Postgres => {
            scene.stage.server().stop();
            None
        }
        Backend::Redis | Backend::Sqlite => {
            let url = format!("sqlite://{}?mode=rw", scene.stage.database().display());
            let mut options = ConnectOptions::new(url);
            options.max_connections(1).sqlx_logging(false);
            let other = Database::connect(options).await.unwrap();
            while other.execute_unprepared("BEGIN EXCLUSIVE").await.is_err() {}
            Some(other)
        }
    };
    if backend == Backend::Redis {
        // Its queue goes on: they are accepted while nothing can be written down.
        for _ in 0..JOBS {
            jobs.push(ask(&scene, &entry).await);
        }
        let told =
            |line: &serde_json::Value| line["event"] == "store.failed" && line["what"] == "jobs";
        watchman
            .until_where("that jobs wait for the store", told)
            .await;
    } else {
        watchman.until("queue.lost").await;
    }
    // How long it is away is what is tested.
    tokio::time::sleep(AWAY).await;
    let meanwhile = scene.effects(&asked.key(), LedgerKind::Filled).len();
    match lock {
        Some(other) => {
            other.execute_unprepared("ROLLBACK").await.unwrap();
            other.close().await.unwrap();
        }
        None => scene.stage.server().start_again(),
    }
    let back = tokio::time::Instant::now();
    for id in &jobs {
        let entry = scene.ended(id).await;
        assert_eq!(entry.state, JobState::Completed, "{backend:?}: {entry:?}");
    }
    let effects = || scene.effects(&asked.key(), LedgerKind::Filled).len();
    println!(
        "{backend:?}: {} jobs, {meanwhile} done when the store came back \
         after {AWAY:?}, all {:?} later, each once",
        jobs.len(),
        back.elapsed()
    );
    assert_eq!(effects(), jobs.len(), "{backend:?}: each once");
    assert!(meanwhile < jobs.len());
    until("a service that is well", || async {
        let alive = scene.asked("/healthz").await.1;
        alive.contains("journal: stored").then_some(())
    })
    .await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_redis_wait_for_a_locked_database() {
    jobs_wait(Backend::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_locked_database_wait_for_it() {
    jobs_wait(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_stopped_server_wait_for_it() {
    jobs_wait(Backend::Postgres).await;
}
