//! Limits, executions of more than one part, and successions.

use super::*;
use crate::domain::execution::{LeftOut, Reopening};
use crate::domain::position::Side;
use crate::domain::units::Usd;

const DAY: i64 = 86_400;

fn per_day(most: u32) -> Limits {
    Limits {
        per_day: Some(most),
        in_all: None,
        falls_back: false,
    }
}

fn in_all(most: u32) -> Limits {
    Limits {
        per_day: None,
        in_all: Some(most),
        falls_back: false,
    }
}

fn reopening() -> Action {
    Action::Reopen(Reopening {
        side: Side::Buy,
        quantity: Usd(500),
        leverage: 10.0,
        stoploss: None,
        trailing_distance: None,
        takeprofit: None,
        closed_at_price: Price::from_usd(95_000.0).unwrap(),
        closed_at: at(11),
        left_out: LeftOut::default(),
    })
}

impl Set {
    async fn fire(&self, n: u128, limits: Limits, seconds: i64) -> FireResult {
        self.open(n, 1).await;
        let fired = self
            .journal
            .fire(self.decided(n, n, 1), limits, at(seconds));
        fired.await.unwrap()
    }

    fn instead(&self, n: u128) -> FallingBack {
        FallingBack {
            id: execution(n),
            action: Action::ClosePosition,
            decision: self.decided(n, 1, 1).decision,
        }
    }
}

/// What may have been applied counts, what was refused or never sent does not.
#[tokio::test]
async fn after_so_many_executions_the_day_is_over_until_midnight() {
    let set = Set::new().await;
    set.at_state(1, State::Done).await;
    set.at_state(2, State::Failed).await;
    set.at_state(3, State::Skipped).await;
    assert_eq!(set.fire(4, per_day(2), DAY - 1).await, FireResult::Fired);
    let until = FireResult::LimitReached { until: at(DAY) };
    assert_eq!(set.fire(5, per_day(2), DAY - 1).await, until);
    let unfinished = set.journal.unfinished().await.unwrap().rows;
    assert_eq!(unfinished.len(), 1, "nothing was written");
    assert_eq!(
        set.fire(4, per_day(2), DAY - 1).await,
        FireResult::Fired,
        "a lost answer"
    );
    assert_eq!(
        set.fire(5, per_day(2), DAY).await,
        FireResult::Fired,
        "a new day"
    );
}

#[tokio::test]
async fn what_is_uncertain_counts_as_an_entry_and_what_was_refused_does_not() {
    let set = Set::new().await;
    set.at_state(1, State::Failed).await;
    assert_eq!(set.fire(2, in_all(2), 10).await, FireResult::Fired);
    set.begin(execution(2)).await;
    let uncertain = set.journal.uncertain(execution(2), json!({}), at(12));
    uncertain.await.unwrap();
    set.at_state(3, State::Done).await;
    assert_eq!(set.fire(4, in_all(2), 9 * DAY).await, FireResult::Completed);
    assert_eq!(set.fire(4, in_all(3), 9 * DAY).await, FireResult::Fired);
}

/// Failure and what is done instead are written at once; the episode waits for the latter.
#[tokio::test]
async fn what_is_done_instead_stands_once_and_the_next_episode_waits_for_it() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let journal = &set.journal;
    let falling = journal.fall_back(id, "no_balance", json!({}), set.instead(2), at(12));
    assert_eq!(falling.await.unwrap(), execution(2));
    assert_eq!(set.state(id).await, State::Failed);
    let again = journal.fall_back(id, "no_balance", json!({}), set.instead(3), at(12));
    assert_eq!(again.await.unwrap(), execution(2), "a lost answer");
    let row = journal.execution(execution(2)).await.unwrap();
    assert_eq!(
        (row.state, row.action),
        (State::Planned, Action::ClosePosition)
    );
    let waits = OpenedEpisode::Fired {
        episode: 1,
        execution: execution(2),
    };
    assert_eq!(set.open(1, 2).await, waits, "one at a time");
    let skipped = journal.skip(execution(2), SkipReason::ConditionGone, at(13));
    skipped.await.unwrap();
    let armed = OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    };
    assert_eq!(set.open(1, 2).await, armed);
}

#[tokio::test]
async fn the_second_leg_is_planned_with_what_the_first_one_came_to() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let early = set.journal.next_leg(id, reopening(), json!({}));
    assert!(early.await.is_err(), "nothing was sent yet");
    set.begin(id).await;
    let outcome = json!({ "exitPrice": 95_000 });
    let leg = set.journal.next_leg(id, reopening(), outcome.clone());
    leg.await.unwrap();
    let row = set.journal.execution(id).await.unwrap();
    assert_eq!((row.state, row.action), (State::Planned, reopening()));
    assert_eq!(row.outcome, Some(outcome));
}

/// The trade that takes another's place has fired what that one has fired, and its own filters.
#[tokio::test]
async fn a_successor_inherits_what_has_fired_and_a_repetition_changes_nothing() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    // Seen before it was known whose place it takes.
    set.open(2, 1).await;
    let journal = &set.journal;
    let unknown = journal.succeed(id, position(2), at(12));
    assert_eq!(unknown.await.unwrap(), None, "it reopens nothing");
    set.begin(id).await;
    journal.next_leg(id, reopening(), json!({})).await.unwrap();
    for _ in 0..2 {
        let succeeded = journal.succeed(id, position(2), at(12));
        assert_eq!(succeeded.await.unwrap(), Some(position(1)));
        let inherited = OpenedEpisode::Fired {
            episode: 1,
            execution: id,
        };
        assert_eq!(set.open(2, 1).await, inherited);
    }
    let lineage = journal.lineage(&set.account.id).await.unwrap();
    let line: Vec<_> = lineage.of(position(2)).collect();
    assert_eq!(line, [position(2), position(1)]);
    assert_eq!(lineage.latest(position(1)), position(2));
}
