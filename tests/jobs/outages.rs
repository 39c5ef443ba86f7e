//! Redis goes away and comes back while the service runs: rules that act by themselves go on, the
//! health says what is wrong, and jobs are taken again by themselves and done once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::queue::{JobQueue, JobState, NewJob};
use vigia::simulator::LedgerKind;

use crate::network::Network;
use crate::outage::Outage;
use crate::scene::{Backend, Scene, USER, buying, closing, job, times};
use crate::stage::{THRESHOLD, price_at};
use crate::waiting::until;
use crate::watchman::Watchman;

/// The promise.
const RESUMED_WITHIN: Duration = Duration::from_secs(3);
/// Satoshis of who loses most of a position's margin in each round.
const TO_LOSE: i64 = 1_000_000_000;

impl Scene {
    /// What the service's status says of its queue, once that is in a state.
    async fn queue_is(&self, state: &str) -> Option<String> {
        until(&format!("status that says {state}"), || async {
            let queue = self.status().await.queue;
            assert_eq!(queue.backend, "redis");
            assert_eq!(queue.state == "lost", queue.cause.is_some(), "{queue:?}");
            (queue.state == state).then_some(queue.cause)
        })
        .await
    }

    /// The service is alive and ready, and says how its queue is.
    async fn is_well_but_for_the_queue(&self, state: &str) {
        let alive = self.asked("/healthz").await;
        let told = format!("alive\njobs: {state}\njournal: stored\n");
        assert_eq!(alive, (200, told));
        let (status, ready) = self.asked("/readyz").await;
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(status, 200);
        for (key, said) in [
            ("ready", json!(true)),
            ("waiting_for", json!(0)),
            ("jobs", json!(state)),
            ("journal", json!("stored")),
        ] {
            assert_eq!(ready[key], said, "{ready}");
        }
    }
}

fn health(watchman: &Watchman, state: &str) -> Vec<Value> {
    let mut lines = watchman.lines();
    lines.retain(|line| line["event"] == "health.queue" && line["state"] == state);
    lines
}

/// A producer that does not give up; its job has an id, so that it is added once.
fn insists(queue: &JobQueue, entry: &AutomationId, id: String) -> tokio::task::JoinHandle<()> {
    let data = json!({ "userId": USER, "automationId": entry });
    let (queue, job) = (
        queue.clone(),
        NewJob {
            id: Some(id),
            ..job(data)
        },
    );
    tokio::spawn(async move {
        while queue.add(job.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_rules_go_on_while_redis_is_away_and_jobs_are_resumed() {
    // Each opens two trades, and the exchange lets nobody have more than 50.
    let rounds = times(8, 24);
    let values = [
        ("queue.lock_ms", 2000),
        ("queue.stalled_ms", 500),
        ("health.period_ms", 300),
    ];
    let mut scene = Scene::on(Backend::Redis, &values).await;
    let network = Network::to(scene.redis().port()).await;
    let guarded = scene.player_who_has(TO_LOSE, "guarded").await;
    let mut config = closing();
    config["cooldown_seconds"] = json!(0);
    scene
        .automation(&guarded.id, RuleKind::MarginGuard, config, true)
        .await;
    let asked = scene.player("asked").await;
    let entry = scene.by_job(&asked, RuleKind::AutoEntry, buying()).await;
    let mut command = scene.stage.run();
    command.env("REDIS_URL", network.url());
    let watchman = scene.start_by(command, 2).await;
    scene.queue_is("connected").await;
    let mut jobs = vec![scene.ask(&entry).await];
    scene.told(&jobs[0]).await;

    let (mut saved, mut resumed) = (vec![], vec![]);
    for round in 0..rounds {
        let outage = Outage::ALL[round % Outage::ALL.len()];
        let position = scene.stage.open_position(&guarded.owner, 10).await;
        watchman.until_armed(round + 1).await;
        let told = health(&watchman, "lost").len();
        outage.begin(scene.redis(), &network);
        let cause = scene.queue_is("lost").await.unwrap();
        scene.is_well_but_for_the_queue("lost").await;
        if round < Outage::ALL.len() {
            let shown = scene.command(&["status"]).await;
            let line = shown
                .lines()
                .find(|line| line.starts_with("jobs "))
                .unwrap();
            let told = line.split_once("from redis: lost for ");
            let told = told.and_then(|(_, told)| told.split_once(" s, live rules go on: "));
            assert!(
                told.is_some_and(|(_, told)| told.len() > ", 0 in hand".len()),
                "{line}"
            );
        }
        // While Redis is away.
        let begun = Instant::now();
        let price = price_at(&position, position.margin, THRESHOLD + 0.05);
        scene.stage.control.set_price(price).unwrap();
        until("effect during the outage", || async {
            let closed = scene.effects(&guarded.key(), LedgerKind::Closed);
            (closed.len() > round).then_some(())
        })
        .await;
        saved.push(begun.elapsed());
        assert_eq!(
            scene.status().await.queue.state,
            "lost",
            "it was away all the time"
        );
        until("health line that says what is wrong", || async {
            let lines = health(&watchman, "lost");
            let new = lines.get(told)?;
            assert_eq!(new["level"], "WARN");
            assert!(!new["cause"].as_str().unwrap().is_empty() && new["lost_ms"].is_u64());
            Some(())
        })
        .await;
        let during = format!("during-{round}");
        let adding = insists(&scene.queue, &entry, during.clone());
        tokio::time::sleep(Duration::from_millis((round as u64 * 337) % 1500)).await;

        outage.end(scene.redis(), &network).await;
        let back = scene.stage.clock.utc();
        let after = format!("after-{round}");
        insists(&scene.queue, &entry, after.clone()).await.unwrap();
        adding.await.unwrap();
        for id in [&during, &after] {
            let entry = scene.ended(id).await;
            assert_eq!(entry.state, JobState::Completed, "{entry:?}");
        }
        let taken = scene.queue.show(&after).await.unwrap().taken_at.unwrap();
        let gap = (taken - back).to_std().unwrap_or_default();
        println!(
            "{outage:?} ({cause}): saved {:?} after the price; a job was taken {gap:?} after Redis was back",
            saved[round]
        );
        resumed.push(gap);
        jobs.extend([during, after]);
        scene.queue_is("connected").await;
        scene.is_well_but_for_the_queue("connected").await;
        until("health line of the resumption", || async {
            let lines = health(&watchman, "connected");
            lines
                .iter()
                .any(|line| line["resumptions"] == round + 1)
                .then_some(())
        })
        .await;
    }
    saved.sort();
    resumed.sort();
    let within = resumed.iter().filter(|gap| **gap <= RESUMED_WITHIN).count();
    println!(
        "faults of Redis survived by the service: {rounds} of {rounds}, live triggers carried out \
         meanwhile: {rounds} (median {:?}, longest {:?}); jobs resumed within {RESUMED_WITHIN:?}: \
         {within} (median {:?}, longest {:?})",
        saved[rounds / 2],
        saved[rounds - 1],
        resumed[rounds / 2],
        resumed[rounds - 1]
    );
    assert_eq!(within, rounds);
    let entered = || scene.effects(&asked.key(), LedgerKind::Filled).len();
    assert_eq!(entered(), jobs.len(), "each job once");

    // A flush lets the numbers begin again at 1.
    assert_eq!(jobs[0], "1");
    let client = redis::Client::open(scene.redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let flushed: String = redis::cmd("FLUSHALL")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(flushed, "OK");
    let again = scene.ask(&entry).await;
    assert_eq!(again, "1");
    assert_eq!(scene.told(&again).await["status"], "completed");
    assert_eq!(entered(), jobs.len() + 1, "another job of that id");
    watchman.stop().await;
}

/// Guards need no Redis, and nobody needs to be started again for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_starts_without_redis_guards_and_takes_jobs_when_it_is_there() {
    let values = [("health.period_ms", 300)];
    let mut scene = Scene::on(Backend::Redis, &values).await;
    let guarded = scene.player("guarded").await;
    scene
        .automation(&guarded.id, RuleKind::MarginGuard, closing(), true)
        .await;
    let asked = scene.player("asked").await;
    let entry = scene.by_job(&asked, RuleKind::AutoEntry, buying()).await;
    let position = scene.stage.open_position(&guarded.owner, 10).await;
    let waited = scene.ask(&entry).await;
    scene.redis().kill();
    let watchman = scene.start(2).await;
    watchman.until_armed(1).await;
    let cause = scene.queue_is("lost").await.unwrap();
    scene.is_well_but_for_the_queue("lost").await;
    let price = price_at(&position, position.margin, THRESHOLD + 0.05);
    scene.stage.control.set_price(price).unwrap();
    until("effect without Redis", || async {
        let closed = scene.effects(&guarded.key(), LedgerKind::Closed);
        (closed.len() == 1).then_some(())
    })
    .await;
    assert_eq!(scene.status().await.queue.state, "lost");
    scene.redis().restart().await;
    let back = Instant::now();
    assert_eq!(scene.told(&waited).await["status"], "completed");
    println!(
        "started without Redis ({cause}): a job was done {:?} after it was there",
        back.elapsed()
    );
    scene.queue_is("connected").await;
    assert_eq!(scene.effects(&asked.key(), LedgerKind::Filled).len(), 1);
    assert_eq!(watchman.count("actor.died"), 0, "{}", watchman.told());
    watchman.stop().await;
}
