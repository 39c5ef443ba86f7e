//! The queue in the service's own database: the same semantics, on a real SQLite file.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbErr, TransactionTrait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use vigia::clock::Clock;
use vigia::queue::table::{Database, DatabaseError, TableQueue, Work};
use vigia::queue::{Backoff, JobQueue, JobState, Link, NewJob, Outcome, QueueOptions};

use crate::postgres_server::Server;
use crate::stage::{QUEUE, Works, done, options};
use crate::waiting::until;

/// Makes a test of each story for each kind of database.
macro_rules! with_both {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(super::Stage::new(None).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let server = crate::postgres_server::Server::start();
                super::$story(super::Stage::new(Some(server)).await).await;
            })*
        }
    };
}

with_both!(
    a_job_is_handed_out_as_soon_as_it_is_added_and_its_outcome_is_kept,
    the_more_urgent_goes_first_none_before_all_and_equals_in_their_order,
    attempts_and_backoff_are_those_of_the_job,
    a_delayed_job_comes_when_it_is_due_without_anybody_looking,
    what_another_process_adds_is_found_by_looking,
    the_last_hundred_and_fifty_are_kept_unless_a_job_says_otherwise,
    a_job_of_an_own_id_is_added_once,
    setting_aside_and_handing_back_cost_no_attempt,
    a_long_job_keeps_its_lease,
    an_abandoned_job_comes_back_once_and_then_fails,
    whoever_is_alone_takes_up_at_once_what_a_death_left,
    closing_hands_back_what_was_not_begun,
    a_flood_of_one_automation_leaves_the_next_its_turn,
    an_outage_of_the_database_loses_nothing,
);

/// A database with the tables of the service.
struct Stage {
    _folder: TempDir,
    _server: Option<Server>,
    url: String,
    database: Arc<Direct>,
}

/// One connection, used by the queue alone.
struct Direct(DatabaseConnection);

impl Database for Direct {
    fn write(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let done: Result<(), DbErr> = async {
                let transaction = self.0.begin().await?;
                work(&DatabaseExecutor::Transaction(&transaction)).await?;
                transaction.commit().await
            }
            .await;
            done.map_err(|error| DatabaseError(error.to_string()))
        })
    }

    fn read(&self, work: Work) -> BoxFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async move {
            let done = work(&DatabaseExecutor::Connection(&self.0)).await;
            done.map_err(|error| DatabaseError(error.to_string()))
        })
    }
}

/// Nothing is found by looking: only by being told.
fn no_poll() -> QueueOptions {
    QueueOptions {
        poll: Duration::from_secs(60),
        ..options()
    }
}

fn short() -> QueueOptions {
    QueueOptions {
        lock: Duration::from_secs(1),
        stalled_every: Duration::from_millis(200),
        ..options()
    }
}

fn job() -> NewJob {
    NewJob {
        id: None,
        data: json!({ "userId": "u", "automationId": "a" }),
        priority: 8,
        delay: Duration::ZERO,
        attempts: 3,
        backoff: Some(Backoff::Exponential(Duration::from_millis(100))),
        keep_completed: None,
        keep_failed: None,
    }
}

impl Stage {
    async fn new(server: Option<Server>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vigia.db");
        let url = match &server {
            Some(server) => server.url(),
            None => format!("sqlite://{}?mode=rwc", path.display()),
        };
        let store = vigia::store::Store::open(&url, None).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        let database = Arc::new(Direct(connect(&url).await));
        Self {
            _folder: folder,
            _server: server,
            url,
            database,
        }
    }

    /// As of the only process that takes jobs here.
    fn queue(&self, options: QueueOptions) -> JobQueue {
        self.queue_of(options, true)
    }

    fn queue_of(&self, options: QueueOptions, alone: bool) -> JobQueue {
        let database: Arc<dyn Database> = Arc::clone(&self.database) as _;
        JobQueue::Table(TableQueue::new(database, options, alone, Clock::start()))
    }

    async fn sql(&self, sql: &str) {
        self.database.0.execute_unprepared(sql).await.unwrap();
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1);
    if url.starts_with("postgres") {
        options.set_schema_search_path("vigia");
    }
    sea_orm::Database::connect(options).await.unwrap()
}

async fn is(queue: &JobQueue, id: &str, state: JobState) {
    until(&format!("job {id} to be {state}"), || async {
        let entry = queue.show(id).await.unwrap();
        (entry.state == state).then_some(())
    })
    .await;
}

async fn a_job_is_handed_out_as_soon_as_it_is_added_and_its_outcome_is_kept(stage: Stage) {
    let queue = stage.queue(no_poll());
    let works = Works::start(&queue, |job| {
        let data: Value = serde_json::from_str(&job.data).unwrap();
        Outcome::Completed(json!({ "status": "completed", "of": data["automationId"] }))
    });
    until("consumer", || async {
        (works.health().link == Link::Connected).then_some(())
    })
    .await;
    let begun = Instant::now();
    let id = queue.add(job()).await.unwrap().id;
    let took = works.saw(&id).await - begun;
    println!("handed out {took:?} after it was added");
    assert!(took < Duration::from_millis(1000), "{took:?}");
    is(&queue, &id, JobState::Completed).await;
    let entry = queue.show(&id).await.unwrap();
    assert_eq!(
        entry.return_value,
        Some(json!({ "status": "completed", "of": "a" }))
    );
    assert_eq!((entry.attempts_made, entry.attempts), (1, 3));
    assert!(entry.finished_at >= entry.taken_at && entry.taken_at.is_some());
    assert_eq!(
        works.seen()[0].key.added_at,
        entry.added_at.timestamp_millis()
    );
    assert!(works.close().await);
}

async fn the_more_urgent_goes_first_none_before_all_and_equals_in_their_order(stage: Stage) {
    let queue = stage.queue(options());
    let mut ids = vec![];
    for priority in [8, 1, 0, 8, 0, 2_097_151, 1] {
        ids.push(queue.add(NewJob { priority, ..job() }).await.unwrap().id);
    }
    let mut one = options();
    one.take = 1;
    let works = Works::start(&stage.queue(one), done);
    works.saw(&ids[5]).await;
    let order = [2, 4, 1, 6, 0, 3, 5].map(|place| ids[place].clone());
    assert_eq!(works.ids(), order);
    assert!(works.close().await);
}

async fn attempts_and_backoff_are_those_of_the_job(stage: Stage) {
    let queue = stage.queue(no_poll());
    let works = Works::start(&queue, |job| {
        Outcome::Retry(format!("attempt {}", job.attempts_made + 1))
    });
    let begun = Instant::now();
    let id = queue.add(job()).await.unwrap().id;
    is(&queue, &id, JobState::Failed).await;
    // 100 ms, then 200 ms.
    let took = works.saw(&id).await - begun;
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(1500),
        "{took:?}"
    );
    assert_eq!(works.seen().len(), 3);
    let entry = queue.show(&id).await.unwrap();
    assert_eq!(entry.failed_reason.as_deref(), Some("attempt 3"));
    assert_eq!(entry.attempts_made, 3);
    queue.retry(&id).await.unwrap();
    until("one more attempt by hand", || async {
        (works.seen().len() == 4 && queue.show(&id).await.unwrap().attempts_made == 4).then_some(())
    })
    .await;
    is(&queue, &id, JobState::Failed).await;
    assert!(works.close().await);
}

async fn a_delayed_job_comes_when_it_is_due_without_anybody_looking(stage: Stage) {
    let queue = stage.queue(no_poll());
    let works = Works::start(&queue, done);
    let begun = Instant::now();
    let delay = Duration::from_millis(400);
    let id = queue.add(NewJob { delay, ..job() }).await.unwrap().id;
    let entry = queue.show(&id).await.unwrap();
    assert_eq!(entry.state, JobState::Delayed);
    let took = works.saw(&id).await - begun;
    assert!(took >= delay - Duration::from_millis(5), "{took:?}");
    assert!(took < 3 * delay, "{took:?}");
    assert!(works.close().await);
}

async fn what_another_process_adds_is_found_by_looking(stage: Stage) {
    let works = Works::start(&stage.queue(options()), done);
    until("consumer", || async {
        (works.health().link == Link::Connected).then_some(())
    })
    .await;
    let other = Arc::new(Direct(connect(&stage.url).await));
    let other = JobQueue::Table(TableQueue::new(other, options(), false, Clock::start()));
    let id = other.add(job()).await.unwrap().id;
    works.saw(&id).await;
    assert!(works.close().await);
}

async fn the_last_hundred_and_fifty_are_kept_unless_a_job_says_otherwise(stage: Stage) {
    let queue = stage.queue(options());
    let works = Works::start(&queue, |job| match job.priority {
        1 => Outcome::Failed("as told".to_owned()),
        _ => done(job),
    });
    for number in 0..190 {
        let priority = if number % 3 == 0 { 1 } else { 8 };
        queue.add(NewJob { priority, ..job() }).await.unwrap();
    }
    let counts = until("end of all jobs", || async {
        let counts = queue.counts().await.unwrap();
        (counts.waiting + counts.active == 0).then_some(counts)
    })
    .await;
    assert_eq!((counts.completed, counts.failed), (100, 50));
    let latest = queue.list(Some(JobState::Completed), 500).await.unwrap();
    assert_eq!(latest.len(), 100);
    assert!(latest.is_sorted_by(|a, b| a.finished_at >= b.finished_at));
    let keeping = async |most| {
        let keep_completed = Some(most);
        let added = queue.add(NewJob {
            keep_completed,
            ..job()
        });
        added.await.unwrap().id
    };
    let id = keeping(7).await;
    until("seven that are kept", || async {
        (queue.counts().await.unwrap().completed == 7).then_some(())
    })
    .await;
    assert!(queue.show(&id).await.is_ok());
    let id = keeping(0).await;
    until("job that is not kept", || async {
        queue.show(&id).await.is_err().then_some(())
    })
    .await;
    assert!(works.close().await);
}

async fn a_job_of_an_own_id_is_added_once(stage: Stage) {
    let queue = stage.queue(options());
    let own = || NewJob {
        id: Some("close-7".to_owned()),
        ..job()
    };
    let first = queue.add(own()).await.unwrap();
    assert_eq!((first.id.as_str(), first.existed), ("close-7", false));
    assert!(queue.add(own()).await.unwrap().existed);
    let numbered = NewJob {
        id: Some("7".to_owned()),
        ..job()
    };
    assert!(queue.add(numbered).await.is_err());
    assert_eq!(queue.counts().await.unwrap().waiting, 1);
    let other = QueueOptions {
        name: "another".to_owned(),
        ..options()
    };
    assert!(
        !stage.queue(other).add(own()).await.unwrap().existed,
        "another queue"
    );
}

async fn setting_aside_and_handing_back_cost_no_attempt(stage: Stage) {
    let queue = stage.queue(no_poll());
    let works = Works::reluctant(&queue);
    let begun = Instant::now();
    let id = queue
        .add(NewJob {
            attempts: 1,
            ..job()
        })
        .await
        .unwrap()
        .id;
    is(&queue, &id, JobState::Completed).await;
    assert!(begun.elapsed() >= Duration::from_millis(295));
    assert_eq!(works.seen().len(), 4);
    assert!(works.seen().iter().all(|job| job.attempts_made == 0));
    assert!(works.close().await);
}

async fn a_long_job_keeps_its_lease(stage: Stage) {
    let queue = stage.queue_of(short(), false);
    let works = Works::with(&queue, |taken| async move {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        let outcome = done(&taken.job);
        taken.settle(outcome);
    });
    let id = queue.add(job()).await.unwrap().id;
    is(&queue, &id, JobState::Completed).await;
    assert_eq!(works.ids(), [id], "handed out once");
    assert!(works.close().await);
}

async fn an_abandoned_job_comes_back_once_and_then_fails(stage: Stage) {
    let queue = stage.queue_of(short(), false);
    let id = queue.add(job()).await.unwrap().id;
    // Dropped as by a death: nothing is handed back.
    let mut consumer = queue.consume();
    let lost = consumer.next().await.unwrap();
    drop(consumer);
    let begun = Instant::now();
    let mut consumer = queue.consume();
    let again = consumer.next().await.unwrap();
    assert_eq!(again.job.key, lost.job.key);
    assert_eq!(again.job.attempts_made, 0, "stalling costs no attempt");
    assert!(
        begun.elapsed() >= Duration::from_millis(700),
        "its lease had to run out"
    );
    drop(consumer);
    // What the first finally says does not count.
    lost.settle(done(&again.job));
    let works = Works::start(&queue, done);
    is(&queue, &id, JobState::Failed).await;
    let entry = queue.show(&id).await.unwrap();
    let told = "job stalled more than allowable limit";
    assert_eq!(entry.failed_reason.as_deref(), Some(told));
    assert!(works.seen().is_empty());
    assert!(works.close().await);
}

async fn whoever_is_alone_takes_up_at_once_what_a_death_left(stage: Stage) {
    let queue = stage.queue(options());
    queue.add(job()).await.unwrap();
    let mut consumer = queue.consume();
    consumer.next().await.unwrap();
    drop(consumer);
    let begun = Instant::now();
    let mut consumer = queue.consume();
    consumer.next().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "leases last 30 s");
}

async fn closing_hands_back_what_was_not_begun(stage: Stage) {
    let queue = stage.queue(options());
    for number in 0..4 {
        let data = json!({ "automationId": number.to_string() });
        queue.add(NewJob { data, ..job() }).await.unwrap();
    }
    let mut consumer = queue.consume();
    let first = consumer.next().await.unwrap();
    let closing = tokio::spawn(consumer.close(Duration::from_secs(10)));
    until("three jobs handed back", || async {
        (queue.counts().await.unwrap().waiting == 3).then_some(())
    })
    .await;
    let outcome = done(&first.job);
    first.settle(outcome);
    assert!(closing.await.unwrap());
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.completed, counts.active), (3, 1, 0));
}

/// 10,000 jobs of one automation wait; a job of another comes, and is handed out at once.
async fn a_flood_of_one_automation_leaves_the_next_its_turn(stage: Stage) {
    stage
        .sql(&format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) \
             insert into jobs (queue, id, name, data, automation, state, priority, attempts, \
             attempts_made, stalls, added_at, first_due_at, due_at) select '{QUEUE}', 'flood-' || i, \
             'n', '{{}}', 'flood', 'waiting', 1, 1, 0, 0, i, i, i from n"
        ))
        .await;
    let queue = stage.queue(no_poll());
    let mut consumer = queue.consume();
    let mut hands = vec![];
    for _ in 0..4 {
        hands.push(consumer.next().await.unwrap());
    }
    let mut times = vec![];
    for number in 0..5 {
        let begun = Instant::now();
        let data = json!({ "automationId": format!("other-{number}") });
        let id = queue.add(NewJob { data, ..job() }).await.unwrap().id;
        let taken = consumer.next().await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(taken.job.key.id.as_ref(), id);
        hands.push(taken);
    }
    times.sort();
    println!(
        "with 10,000 jobs of one automation waiting, another's was handed out after {times:?}"
    );
    assert!(times[2] < Duration::from_millis(500), "{times:?}");
    // And the flood goes on, four at a time.
    let flood = hands.remove(0);
    flood.settle(Outcome::Completed(Value::Null));
    let next = consumer.next().await.unwrap();
    assert_eq!(next.job.key.id.as_ref(), "flood-5");
}

async fn an_outage_of_the_database_loses_nothing(stage: Stage) {
    let queue = stage.queue(options());
    let (works, go) = Works::when_told(&queue, done);
    let id = queue.add(job()).await.unwrap().id;
    works.saw(&id).await;
    stage.sql("alter table jobs rename to jobs_away").await;
    go.send_replace(true);
    let cause = works.lost().await;
    assert!(cause.contains("jobs"), "{cause}");
    stage.sql("alter table jobs_away rename to jobs").await;
    is(&queue, &id, JobState::Completed).await;
    assert_eq!(works.ids(), [id], "handed out once");
    until("health that says that it was resumed", || async {
        (works.health().resumptions == 1).then_some(())
    })
    .await;
    assert!(works.close().await);
}
