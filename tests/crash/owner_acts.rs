//! Killed, and the owner acts before it is back.

use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::domain::units::Sats;

use crate::stage::{Deed, Owner, Stage};

async fn killed_at(place: &str, deed: Deed) -> (Stage, Owner, Position) {
    let stage = Stage::set().await;
    let (owner, position) = stage.guarded("alice", deed).await;
    stage.dies_at(place, &position).await;
    (stage, owner, position)
}

async fn close(stage: &Stage, owner: &Owner, position: &Position) {
    let now = stage.rest.clock().now();
    stage
        .rest
        .close(&owner.credentials, position.id, now)
        .await
        .unwrap();
}

/// State and reason of the one execution, once it has ended.
async fn settled_as(stage: &Stage) -> (State, Option<String>) {
    let watchman = stage.start();
    let books = stage
        .settled(&watchman, |books| !books.executions.is_empty())
        .await;
    assert_eq!(watchman.count("alarm"), 0, "{}", watchman.told());
    watchman.stop().await;
    assert_eq!(books.executions.len(), 1);
    assert_eq!(stage.effects().len(), 1, "the owner's");
    let row = &books.executions[0];
    (row.state, row.reason.clone())
}

#[tokio::test]
async fn a_planned_close_of_a_position_that_is_gone_is_skipped() {
    let (stage, owner, position) = killed_at("execution.planned", Deed::Close).await;
    close(&stage, &owner, &position).await;
    let gone = Some("position_gone".to_owned());
    assert_eq!(settled_as(&stage).await, (State::Skipped, gone));
}

#[tokio::test]
async fn a_planned_add_to_a_position_that_is_gone_is_skipped() {
    let (stage, owner, position) = killed_at("execution.planned", Deed::Add).await;
    close(&stage, &owner, &position).await;
    let gone = Some("position_gone".to_owned());
    assert_eq!(settled_as(&stage).await, (State::Skipped, gone));
}

/// Whose close it was cannot be told apart, and need not be: the position is closed, once.
#[tokio::test]
async fn a_close_that_may_have_been_sent_is_settled_by_reading() {
    let (stage, owner, position) = killed_at("execution.sending", Deed::Close).await;
    close(&stage, &owner, &position).await;
    assert_eq!(settled_as(&stage).await, (State::Done, None));
}

#[tokio::test]
async fn an_add_that_was_not_sent_is_proven_on_the_closed_trade() {
    let (stage, owner, position) = killed_at("execution.sending", Deed::Add).await;
    close(&stage, &owner, &position).await;
    let not_applied = Some("not_applied".to_owned());
    assert_eq!(settled_as(&stage).await, (State::Failed, not_applied));
}

/// More margin than was read before, and not by the amount: only a person can tell.
#[tokio::test]
async fn an_add_beside_one_of_the_owner_is_uncertain_and_not_sent_again() {
    let (stage, owner, position) = killed_at("execution.sending", Deed::Add).await;
    let now = stage.rest.clock().now();
    stage
        .rest
        .add_margin(&owner.credentials, position.id, Sats(700_001), now)
        .await
        .unwrap();
    assert_eq!(settled_as(&stage).await, (State::Uncertain, None));
}
