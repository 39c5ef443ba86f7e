//! Attempts, and what costs none.

use super::*;

with_both!(
    attempts_and_backoff_are_those_of_the_job,
    setting_aside_and_handing_back_cost_no_attempt,
);

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
