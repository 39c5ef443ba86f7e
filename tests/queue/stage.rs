//! A Redis, a Node application and a consumer of ours.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vigia::clock::Clock;
use vigia::queue::bull::BullQueue;
use vigia::queue::{Health, Job, JobQueue, Link, Outcome, QueueOptions, Taken};

use crate::node::Node;
use crate::redis_server::RedisServer;
use crate::waiting::until;

pub const QUEUE: &str = "automation-execute";

pub fn options() -> QueueOptions {
    QueueOptions {
        name: QUEUE.to_owned(),
        take: 256,
        lock: Duration::from_secs(30),
        stalled_every: Duration::from_secs(30),
        most_stalls: 1,
        keep_completed: 100,
        keep_failed: 50,
        poll: Duration::from_secs(1),
    }
}

pub struct Stage {
    pub redis: RedisServer,
    pub node: Node,
}

impl Stage {
    pub async fn new(version: u8) -> Self {
        let redis = RedisServer::start().await;
        let node = Node::start(version, &redis.url(), QUEUE).await;
        Self { redis, node }
    }

    pub fn queue(&self, options: QueueOptions) -> JobQueue {
        bull(&self.redis.url(), options)
    }

    /// A consumer that carries jobs out as `act` says.
    pub fn work(&self, act: impl Fn(&Job) -> Outcome + Send + Sync + 'static) -> Works {
        Works::start(&self.queue(options()), act)
    }
}

/// With locks that are soon given up: an outcome that is lost on its way is given again as soon as the
/// job's lock has run out.
pub fn short() -> QueueOptions {
    QueueOptions {
        lock: Duration::from_secs(2),
        stalled_every: Duration::from_millis(500),
        ..options()
    }
}

pub fn bull(url: &str, options: QueueOptions) -> JobQueue {
    JobQueue::Bull(BullQueue::new(url, "bull", options, Clock::start()).unwrap())
}

pub fn done(_: &Job) -> Outcome {
    Outcome::Completed(json!({ "status": "completed" }))
}

/// A consumer whose jobs are carried out at once.
pub struct Works {
    seen: Arc<Mutex<Vec<(Job, Instant)>>>,
    health: watch::Receiver<Health>,
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

impl Works {
    pub fn start(queue: &JobQueue, act: impl Fn(&Job) -> Outcome + Send + Sync + 'static) -> Self {
        let act = Arc::new(act);
        Self::with(queue, move |taken| {
            let act = Arc::clone(&act);
            async move {
                let outcome = act(&taken.job);
                taken.settle(outcome);
            }
        })
    }

    /// One that does with each job what `act` does with it.
    pub fn with<F>(queue: &JobQueue, act: impl Fn(Taken) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut consumer = queue.consume();
        let health = consumer.health();
        let seen = Arc::new(Mutex::new(vec![]));
        let saw = Arc::clone(&seen);
        let (stop, mut stopping) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    taken = consumer.next() => {
                        let taken = taken.expect("the consumer goes on");
                        saw.lock().unwrap().push((taken.job.clone(), Instant::now()));
                        tokio::spawn(act(taken));
                    }
                    _ = &mut stopping => return consumer.close(Duration::from_secs(10)).await,
                }
            }
        });
        Self {
            seen,
            health,
            stop,
            task,
        }
    }

    /// One that carries jobs out as `act` says, but none before it is told to.
    pub fn when_told(
        queue: &JobQueue,
        act: impl Fn(&Job) -> Outcome + Send + Sync + 'static,
    ) -> (Self, watch::Sender<bool>) {
        let (go, gone) = watch::channel(false);
        let act = Arc::new(act);
        let works = Self::with(queue, move |taken| {
            let (act, mut gone) = (Arc::clone(&act), gone.clone());
            async move {
                gone.wait_for(|go| *go).await.unwrap();
                let outcome = act(&taken.job);
                taken.settle(outcome);
            }
        });
        (works, go)
    }

    /// One that sets a job aside, hands it back, forgets it, and does it the fourth time.
    pub fn reluctant(queue: &JobQueue) -> Self {
        let times = Arc::new(AtomicU32::new(0));
        Self::with(queue, move |taken| {
            let time = times.fetch_add(1, Ordering::SeqCst);
            async move {
                match time {
                    0 => taken.settle(Outcome::Later(Duration::from_millis(300))),
                    1 => taken.settle(Outcome::Released),
                    2 => drop(taken),
                    _ => {
                        let outcome = done(&taken.job);
                        taken.settle(outcome);
                    }
                }
            }
        })
    }

    /// The jobs that it was handed, in their order.
    pub fn seen(&self) -> Vec<Job> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(job, _)| job.clone()).collect()
    }

    pub fn ids(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|job| job.key.id.to_string())
            .collect()
    }

    /// When a job was last handed out.
    pub async fn saw(&self, id: &str) -> Instant {
        until(&format!("handing-out of job {id}"), || async {
            let seen = self.seen.lock().unwrap();
            let found = seen.iter().rev().find(|(job, _)| job.key.id.as_ref() == id);
            found.map(|(_, at)| *at)
        })
        .await
    }

    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Waits until its health says that the queue is lost, and why.
    pub async fn lost(&self) -> String {
        until("health that says what is wrong", || async {
            match self.health().link {
                Link::Lost { cause, .. } => Some(cause),
                _ => None,
            }
        })
        .await
    }

    /// Closes it. Whether all that was in hand was settled.
    pub async fn close(self) -> bool {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

/// The field of a value as text; empty where it is none.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
