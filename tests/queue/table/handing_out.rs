//! How jobs are handed out: at once, in their order, each in its turn.

use serde_json::Value;
use vigia::queue::Link;

use super::*;
use crate::stage::QUEUE;

with_both!(
    a_job_is_handed_out_as_soon_as_it_is_added_and_its_outcome_is_kept,
    the_more_urgent_goes_first_none_before_all_and_equals_in_their_order,
    a_delayed_job_comes_when_it_is_due_without_anybody_looking,
    what_another_process_adds_is_found_by_looking,
    a_flood_of_one_automation_leaves_the_next_its_turn,
);

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
