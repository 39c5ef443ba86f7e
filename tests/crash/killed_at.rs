//! Killed at a named place of an execution, started again while the danger stands.

use vigia::domain::execution::State;

use crate::stage::{Deed, START, Stage};

/// Kills the watchman at a place, starts another, and waits until the position is saved.
async fn saved_after_death_at(place: &str, deed: Deed) {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", deed).await;
    stage.dies_at(place, &position).await;

    let watchman = stage.start();
    stage
        .settled(&watchman, |books| books.states().contains(&State::Done))
        .await;
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
    match (place, deed) {
        // The request never left, and only time proves that: the next episode acts.
        ("execution.sending", Deed::Add) => {
            assert_eq!(books.states(), [State::Failed, State::Done]);
            assert_eq!(books.reasons(), ["not_applied"]);
        }
        _ => assert_eq!(books.states(), [State::Done], "{books:#?}"),
    }
}

macro_rules! places {
    ($($place:ident: $text:literal,)*) => { $(
        mod $place {
            use super::*;

            #[tokio::test]
            async fn margin_is_added_once() {
                saved_after_death_at($text, Deed::Add).await;
            }

            #[tokio::test]
            async fn the_position_is_closed_once() {
                saved_after_death_at($text, Deed::Close).await;
            }
        }
    )* };
}

places! {
    when_fired: "automation.fired",
    when_planned: "execution.planned",
    when_sending: "execution.sending",
    when_answered: "execution.answered",
    when_recorded: "execution.recorded",
}

/// An old intent is not an order.
async fn skipped_when_the_danger_is_over(place: &str, deed: Deed) {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", deed).await;
    stage.dies_at(place, &position).await;
    stage.control.set_price(START).unwrap();

    let watchman = stage.start();
    let books = stage
        .settled(&watchman, |books| !books.executions.is_empty())
        .await;
    assert_eq!(books.states(), [State::Skipped]);
    assert_eq!(books.reasons(), ["condition_gone"]);
    // And it still watches: the next danger is a new episode.
    stage.endanger(&position);
    stage
        .settled(&watchman, |books| books.states().contains(&State::Done))
        .await;
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}

#[tokio::test]
async fn a_planned_add_is_skipped_when_the_danger_is_over() {
    skipped_when_the_danger_is_over("execution.planned", Deed::Add).await;
}

#[tokio::test]
async fn a_planned_close_is_skipped_when_the_danger_is_over() {
    skipped_when_the_danger_is_over("execution.planned", Deed::Close).await;
}

#[tokio::test]
async fn a_trigger_nobody_was_told_of_is_skipped_when_the_danger_is_over() {
    skipped_when_the_danger_is_over("automation.fired", Deed::Close).await;
}
