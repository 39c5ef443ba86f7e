//! The database goes away and comes back.

use super::*;

with_both!(an_outage_of_the_database_loses_nothing);

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
