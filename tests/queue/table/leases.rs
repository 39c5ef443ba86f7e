//! Who has a job in hand, and what becomes of it where its holder dies.

use super::*;

with_both!(
    a_long_job_keeps_its_lease,
    an_abandoned_job_comes_back_once_and_then_fails,
    whoever_is_alone_takes_up_at_once_what_a_death_left,
    closing_hands_back_what_was_not_begun,
);

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
