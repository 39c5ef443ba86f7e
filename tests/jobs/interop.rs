//! Node applications with the real package, versions 5 and 6, at the other end of the queue of a
//! running service: what they ask for is done at the exchange, and they see of it what they would see
//! of a Node worker.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Fault, LedgerKind};

use crate::node::Node;
use crate::scene::{Backend, Player, Scene, TRADE, USER, buying, closing, waiting};
use crate::waiting::until;
use crate::watchman::Watchman;

/// The old worker's options.
const OPTIONS: &str = r#"{"priority":8,"attempts":3,"backoff":{"type":"exponential","delay":2000},
    "removeOnComplete":100,"removeOnFail":50}"#;
/// How late a delayed job may be taken on a machine that has other things to do.
const LATE: i64 = 5000;

struct Play {
    scene: Scene,
    node: Node,
    watchman: Watchman,
    trader: Player,
    buyer: Player,
    guard: AutomationId,
    entry: AutomationId,
    /// Never true.
    patient: AutomationId,
    /// Entries that were asked for.
    bought: usize,
}

impl Play {
    async fn begin(version: u8) -> Self {
        let scene = Scene::on(Backend::Redis, &[]).await;
        let node = Node::start(version, &scene.redis_url(), "automation-execute").await;
        let (trader, _) = scene.trader("trader").await;
        let buyer = scene.player("buyer").await;
        let guard = scene
            .by_job(&trader, RuleKind::MarginGuard, closing())
            .await;
        let entry = scene.by_job(&buyer, RuleKind::AutoEntry, buying()).await;
        let patient = scene.by_job(&buyer, RuleKind::AutoEntry, waiting()).await;
        let watchman = scene.start(2).await;
        Self {
            scene,
            node,
            watchman,
            trader,
            buyer,
            guard,
            entry,
            patient,
            bought: 0,
        }
    }

    async fn add(&self, automation: &AutomationId, options: Value) -> String {
        let data = json!({ "userId": USER, "automationId": automation });
        self.node.add_with(data, options).await
    }

    /// Asks for an entry that is to be made.
    async fn buy(&mut self, options: Value) -> String {
        self.bought += 1;
        let entry = self.entry.clone();
        self.add(&entry, options).await
    }

    /// The job as Node shows it, once it is in a state.
    async fn shown(&self, id: &str, state: &str) -> Value {
        until(&format!("job {id} that is {state}"), || async {
            (self.node.job(id).await["state"] == state).then_some(())
        })
        .await;
        // What it shows of it together is of the time from there on.
        self.node.job(id).await
    }

    /// What the job's producer gets.
    async fn returned(&self, id: &str) -> Value {
        let mut answer = self.node.wait(id).await;
        assert!(answer.get("failed").is_none(), "{answer}");
        answer["returned"].take()
    }

    /// What observers were told of a job's end.
    async fn heard(&self, id: &str, event: &str) -> Value {
        until(&format!("event {event} of job {id}"), || async {
            let heard = self.node.ask("heard", json!({ "job": id })).await;
            let mut heard = heard.as_array().unwrap().iter();
            heard.find(|told| told["event"] == event).cloned()
        })
        .await
    }

    async fn gone(&self, id: &str) {
        until(&format!("removal of job {id}"), || async {
            self.node.job(id).await.is_null().then_some(())
        })
        .await;
    }

    /// The exchange is away for so many entries.
    fn away(&self, times: u32) {
        let away = Fault::status(503);
        let away = away.on_key(&self.buyer.key()).on_route(TRADE);
        let away = away.on_method("POST").times(times);
        self.scene.stage.control.inject(away).unwrap();
    }

    fn entered(&self) -> usize {
        self.scene
            .effects(&self.buyer.key(), LedgerKind::Filled)
            .len()
    }

    async fn what_is_asked_for_is_done_and_told(&mut self) {
        let id = self.buy(serde_json::from_str(OPTIONS).unwrap()).await;
        let value = self.returned(&id).await;
        assert_eq!(
            (&value["status"], &value["automationId"], &value["userId"]),
            (&json!("completed"), &json!(self.entry), &json!(USER))
        );
        assert_eq!(
            (&value["accountId"], &value["accountName"]),
            (&json!(self.buyer.id), &json!("buyer"))
        );
        assert_eq!(value["executions"].as_array().unwrap().len(), 1);
        assert_eq!(self.entered(), 1);
        let job = self.shown(&id, "completed").await;
        assert_eq!(
            job["returnvalue"], value,
            "the promise's value is the job's"
        );
        assert_eq!(
            (
                &job["attemptsMade"],
                &job["attemptsStarted"],
                &job["processedBy"]
            ),
            (&json!(1), &json!(1), &json!("vigia"))
        );
        assert!(job["processedOn"].is_u64() && job["finishedOn"].is_u64());
        let heard = self.heard(&id, "completed").await;
        assert_eq!(
            (&heard["returnvalue"], &heard["prev"]),
            (&value, &json!("active"))
        );
        let events = self.node.events(&id).await;
        assert_eq!(events, ["added", "waiting", "active", "completed"]);
        // Nothing to do is an answer, too.
        let id = self.add(&self.guard, json!({})).await;
        let value = self.returned(&id).await;
        assert_eq!(
            (&value["status"], &value["reason"], &value["action"]),
            (
                &json!("skipped"),
                &json!("condition_not_met"),
                &json!("close_position")
            )
        );
        let id = self.add(&self.patient, json!({})).await;
        let value = self.returned(&id).await;
        assert_eq!(
            (&value["status"], &value["reason"], &value["triggerPrice"]),
            (
                &json!("pending"),
                &json!("price_not_triggered"),
                &json!(1000)
            )
        );
    }

    async fn priorities_and_delays_are_kept(&mut self) {
        self.node.ask("pause", json!({})).await;
        let mut ids = vec![];
        // 0 is none, and goes first.
        for priority in [8, 3, 0, 1] {
            ids.push((priority, self.buy(json!({ "priority": priority })).await));
        }
        let paused = until("status that says that the queue is paused", || async {
            let queue = self.scene.status().await.queue;
            queue.paused.then_some(queue)
        });
        assert_eq!(paused.await.state, "connected");
        assert_eq!(self.entered(), 1, "nothing is handed out");
        self.node.ask("resume", json!({})).await;
        let mut finished = vec![];
        for (priority, id) in &ids {
            let job = self.shown(id, "completed").await;
            finished.push((job["finishedOn"].as_u64().unwrap(), *priority));
        }
        finished.sort_unstable();
        let order: Vec<_> = finished.iter().map(|(_, priority)| *priority).collect();
        assert_eq!(order, [0, 1, 3, 8]);

        let id = self.buy(json!({ "delay": 700 })).await;
        let job = self.node.job(&id).await;
        assert_eq!(
            (&job["state"], &job["delay"]),
            (&json!("delayed"), &json!(700))
        );
        let job = self.shown(&id, "completed").await;
        let at = |field: &str| job[field].as_i64().unwrap();
        let late = at("processedOn") - at("timestamp") - 700;
        assert!((0..LATE).contains(&late), "{late} ms late");
        println!("a job delayed by 700 ms was taken {late} ms late");
    }

    async fn attempts_and_backoffs_are_the_producers(&mut self) {
        self.away(2);
        let backoff = json!({ "type": "exponential", "delay": 150 });
        let id = self.buy(json!({ "attempts": 3, "backoff": backoff })).await;
        let job = self.shown(&id, "completed").await;
        assert_eq!(
            (&job["attemptsMade"], &job["attemptsStarted"]),
            (&json!(3), &json!(3))
        );
        assert_eq!(job["stacktrace"].as_array().unwrap().len(), 2);
        let again = ["delayed", "waiting after delayed", "active"];
        let told = [
            &["added", "waiting", "active"][..],
            &again,
            &again,
            &["completed"],
        ];
        assert_eq!(self.node.events(&id).await, told.concat());
        // A number is as long each time.
        self.away(1);
        let id = self.buy(json!({ "attempts": 2, "backoff": 400 })).await;
        let job = until("wait for the second attempt", || async {
            let job = self.node.job(&id).await;
            (job["attemptsMade"] == 1 && job["state"] == "delayed").then_some(job)
        })
        .await;
        assert_eq!(job["delay"], 400);
        self.shown(&id, "completed").await;
        // None that are left: the producer is told why.
        self.away(2);
        let options = json!({ "attempts": 2, "backoff": { "type": "fixed", "delay": 50 } });
        let id = self.add(&self.entry, options).await;
        let answer = self.node.wait(&id).await;
        let reason = answer["failed"].as_str().unwrap().to_owned();
        assert!(reason.contains("1 of 1 executions"), "{reason}");
        let job = self.shown(&id, "failed").await;
        assert_eq!(
            (&job["failedReason"], &job["attemptsMade"]),
            (&json!(reason), &json!(2))
        );
        let heard = self.heard(&id, "failed").await;
        assert_eq!(heard["failedReason"], json!(reason));
        self.heard(&id, "retries-exhausted").await;
        // What cannot be is not tried again.
        let unknown = AutomationId::new("nobody-knows-it");
        let id = self
            .add(&unknown, json!({ "attempts": 3, "backoff": 50 }))
            .await;
        let answer = self.node.wait(&id).await;
        let reason = answer["failed"].as_str().unwrap();
        assert!(reason.contains("nobody-knows-it"), "{reason}");
        let job = self.shown(&id, "failed").await;
        assert_eq!(job["attemptsMade"], 1);
        let events = self.node.events(&id).await;
        assert_eq!(events, ["added", "waiting", "active", "failed"]);
    }

    async fn the_same_is_added_once(&mut self) {
        let own = self.buy(json!({ "jobId": "own-1" })).await;
        let entry = self.entry.clone();
        assert_eq!(self.add(&entry, json!({ "jobId": "own-1" })).await, own);
        self.returned(&own).await;
        assert_eq!(self.add(&entry, json!({ "jobId": "own-1" })).await, own);
        let once = json!({ "deduplication": { "id": "one" }, "delay": 200 });
        let first = self.buy(once.clone()).await;
        assert_eq!(self.add(&entry, once.clone()).await, first);
        self.returned(&first).await;
        // The first has ended: another is another.
        let second = self.buy(once).await;
        assert_ne!(second, first);
        self.returned(&second).await;
        let while_it_lasts = json!({ "deduplication": { "id": "two", "ttl": 600_000 } });
        let third = self.buy(while_it_lasts.clone()).await;
        self.returned(&third).await;
        assert_eq!(self.add(&entry, while_it_lasts).await, third);
    }

    async fn what_is_to_be_kept_is_kept(&mut self) {
        let id = self.buy(json!({ "removeOnComplete": true })).await;
        let heard = self.heard(&id, "completed").await;
        assert_eq!(heard["returnvalue"]["status"], "completed");
        self.gone(&id).await;
        for kept in [
            json!(false),
            json!({ "age": 3600 }),
            json!({ "age": 3600, "count": 1000 }),
        ] {
            let id = self.buy(json!({ "removeOnComplete": kept })).await;
            self.returned(&id).await;
            assert_eq!(self.node.job(&id).await["state"], "completed", "{kept}");
        }
        for (kept, count) in [(json!(2), 2), (json!({ "count": 1 }), 1)] {
            let id = self.buy(json!({ "removeOnComplete": kept })).await;
            self.returned(&id).await;
            let counts = self.node.counts().await;
            assert_eq!(counts["completed"], count, "{kept}");
        }
        let unknown = AutomationId::new("nobody-knows-it");
        let failed = self.node.counts().await["failed"].clone();
        let id = self.add(&unknown, json!({ "removeOnFail": true })).await;
        let heard = self.heard(&id, "failed").await;
        assert!(
            heard["failedReason"]
                .as_str()
                .unwrap()
                .contains("nobody-knows-it")
        );
        self.gone(&id).await;
        assert_eq!(self.node.counts().await["failed"], failed);
    }

    async fn nothing_is_left_over(self) {
        let counts = self.node.counts().await;
        for state in ["waiting", "active", "delayed", "prioritized"] {
            assert_eq!(counts[state], 0, "{counts}");
        }
        assert_eq!(counts["failed"], 2, "{counts}");
        let workers = self.node.ask("workers", json!({})).await;
        let workers = workers.as_array().unwrap();
        assert_eq!(workers.len(), 1, "{workers:?}");
        assert!(
            workers[0].as_str().unwrap().ends_with(":w:vigia"),
            "{workers:?}"
        );
        let running = self.node.ask("running", json!({})).await;
        assert_eq!(running, json!({ "events": true, "complaints": [] }));
        assert_eq!(self.entered(), self.bought, "each entry once");
        let closed = self.scene.effects(&self.trader.key(), LedgerKind::Closed);
        assert!(closed.is_empty(), "{closed:?}");
        println!(
            "{} entries were asked for, {} were made",
            self.bought,
            self.entered()
        );
        let stopped = tokio::time::timeout(Duration::from_secs(20), self.watchman.stop());
        stopped.await.unwrap();
    }
}

async fn play(version: u8) {
    let mut play = Play::begin(version).await;
    play.what_is_asked_for_is_done_and_told().await;
    play.priorities_and_delays_are_kept().await;
    play.attempts_and_backoffs_are_the_producers().await;
    play.the_same_is_added_once().await;
    play.what_is_to_be_kept_is_kept().await;
    play.nothing_is_left_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_with_version_5_is_served() {
    play(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_with_version_6_is_served() {
    play(6).await;
}
