//! Rows of the table whose job comes from a BullMQ queue on a Redis of the test's own.

use crate::act::Act;
use crate::point::{Point, Route};
use crate::redis_server::RedisServer;
use crate::row::Row;
use crate::table::{is_long, play};

const POINTS: [Point; 8] = [
    Point::JobTaken,
    Point::JobPlanned,
    Point::Sending,
    Point::Unanswered,
    Point::Answered,
    Point::Recorded,
    Point::Settling,
    Point::Acknowledged,
];

/// Rows of these acts, each with a queue of its own; long runs lose every reply as well.
async fn survive(acts: &[Act]) {
    let redis = RedisServer::start().await;
    let mut rows = vec![];
    for act in acts.iter().copied() {
        for (index, point) in POINTS.into_iter().enumerate() {
            for lost in [false, true] {
                if !is_long() && lost != (index % 2 == 0) {
                    continue;
                }
                let queue = format!(
                    "backend = \"redis\"\nredis_url = \"{}\"\nprefix = \"row-{}\"\n",
                    redis.url(),
                    rows.len()
                );
                rows.push(Row {
                    act,
                    point,
                    route: Route::Job,
                    lost,
                    queue,
                });
            }
        }
    }
    play(rows).await;
}

#[tokio::test]
async fn what_jobs_on_redis_ask_for_is_done_once() {
    survive(&[Act::Close, Act::AddMargin]).await;
}
