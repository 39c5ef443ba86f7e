//! What is kept of jobs, and what is not added twice.

use super::*;

with_both!(
    the_last_hundred_and_fifty_are_kept_unless_a_job_says_otherwise,
    a_job_of_an_own_id_is_added_once,
);

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
