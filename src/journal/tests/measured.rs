//! How long the steps of the way to an order take.

use super::*;

#[tokio::test]
#[ignore = "a measurement; run it with --release and --nocapture"]
#[allow(clippy::disallowed_methods, reason = "measures")]
async fn measure_fire_and_begin_sending() {
    let set = Set::new().await;
    let mut took: [Vec<std::time::Duration>; 4] = Default::default();
    for n in 1..=1000u128 {
        let id = execution(n);
        let start = std::time::Instant::now();
        set.open(n, 1).await;
        took[0].push(start.elapsed());
        let start = std::time::Instant::now();
        set.journal
            .fire(set.decided(n, n, 1), Limits::default(), at(10))
            .await
            .unwrap();
        took[1].push(start.elapsed());
        let start = std::time::Instant::now();
        set.begin(id).await;
        took[2].push(start.elapsed());
        let entry = set.entry(id);
        let start = std::time::Instant::now();
        set.journal
            .done(id, json!({}), entry, at(12))
            .await
            .unwrap();
        took[3].push(start.elapsed());
    }
    for (name, mut took) in ["open", "fire", "begin", "done"].into_iter().zip(took) {
        took.sort_unstable();
        println!(
            "{name}: p50 {:?} p99 {:?} max {:?}",
            took[500], took[990], took[999]
        );
    }
}
