//! The best that any order of requests could have done.

use std::time::Duration;

/// How many trades could be saved at most by one request each, where each trade is lost at its time.
/// A request may be made at each of `places`, and at each again a second later, and so on. Each place
/// is given to the trade that is lost soonest of those that can still be saved; no order saves more.
pub fn saved(lost_at: &[Duration], places: &[Duration], until: Duration) -> usize {
    let mut all = vec![];
    for first in places {
        let mut place = *first;
        while place < until {
            all.push(place);
            place += Duration::from_secs(1);
        }
    }
    all.sort();
    let mut waiting = lost_at.to_vec();
    waiting.sort();
    let mut saved = 0;
    for place in all {
        waiting.retain(|at| *at > place);
        if waiting.is_empty() {
            break;
        }
        waiting.remove(0);
        saved += 1;
    }
    saved
}

#[test]
fn the_best_is_counted_by_hand() {
    let at = |ms: &[u64]| -> Vec<_> { ms.iter().map(|ms| Duration::from_millis(*ms)).collect() };
    let count = |ms: &[u64]| saved(&at(ms), &at(&[0, 0]), Duration::from_secs(9));
    assert_eq!(
        count(&[500, 500, 500]),
        2,
        "the third one's place is too late"
    );
    assert_eq!(count(&[500, 1500, 1500, 500, 500]), 4);
    assert_eq!(count(&[1500, 1500, 500, 500, 1500]), 4);
    assert_eq!(count(&[0, 100]), 1, "one is lost already");
    let late = saved(&at(&[500, 500]), &at(&[0, 600]), Duration::from_secs(9));
    assert_eq!(late, 1, "a place that is taken is free too late");
}
