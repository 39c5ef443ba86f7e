//! What is done where no margin can be added: told, and done once; never while it is not known
//! whether margin was added.

use serde_json::{Value, json};
use vigia::domain::execution::State;
use vigia::simulator::{Fault, LedgerKind};
use vigia::supervision::failpoint::{self, Deed};
use vigia::telemetry::Event;

use crate::harness::{ADD_MARGIN, DANGER, MARGIN, Script, Stage, Trader, adding_but};

fn or_close() -> Value {
    adding_but(&json!({ "fallback": "close_position" }))
}

fn or_reduce() -> Value {
    adding_but(&json!({ "fallback": "reduce_position", "reduce_percentage": 50 }))
}

/// An account with a position and no satoshi left, which it has put into another position.
async fn poor(stage: &mut Stage, config: Value) -> Trader {
    let alpha = stage.trader_with("alpha", 2_100_000, 10).await;
    let other = stage.open(&alpha.credentials, 10).await;
    let left = stage.control.account(&alpha.key).unwrap().balance;
    stage.add_by_hand(&alpha, other.id, left).await;
    let config = match config {
        Value::Object(mut fields) => {
            fields.insert("positions".to_owned(), json!([alpha.position]));
            Value::Object(fields)
        }
        other => other,
    };
    let guard = stage.guard(&alpha, config).await;
    stage.armed(&guard).await;
    let account = stage.account(&alpha);
    stage
        .until("the balance is known", || {
            account
                .view
                .load()
                .balance
                .is_some_and(|balance| balance.0 == 0)
        })
        .await;
    stage.mark();
    alpha
}

#[actix::test]
async fn without_balance_it_is_told_and_closed() {
    let mut stage = Stage::set().await;
    let alpha = poor(&mut stage, or_close()).await;
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "no_balance").await;
    assert_eq!(stage.failed(&alpha).await, "no_balance");
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    let audit = stage.audit(&alpha).await;
    assert_eq!(audit[0].entry.data["action"], "close_position");
    let rows = stage.executions(&alpha).await;
    assert_eq!(
        rows[1].trigger_key,
        format!("{}:fallback", rows[0].trigger_key)
    );
    stage.end().await;
}

#[actix::test]
async fn without_balance_it_is_told_and_reduced() {
    let mut stage = Stage::set().await;
    let alpha = poor(&mut stage, or_reduce()).await;
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "no_balance").await;
    stage.alarm(&alpha, "less_kept").await;
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    // Half of it would cost more than the close returns: as much as that pays for.
    let first = stage.running(&alpha).remove(1).quantity;
    assert!((2000..2500).contains(&first), "{first}");
    stage.end().await;
}

/// The row of what is done instead stands; then its executor dies before anything is sent.
#[actix::test]
async fn an_executor_that_dies_before_the_fallback_is_sent_costs_nothing() {
    let mut stage = Script::new().alone().play().await;
    let alpha = poor(&mut stage, or_close()).await;
    failpoint::set("execution.planned", None, Deed::Panic(1));
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let died = |event: &Event| matches!(event, Event::ActorDied { actor, .. } if actor.starts_with("executor/"));
    assert!(stage.events().iter().any(died), "the story was another");
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    stage.end().await;
}

/// The service stops while what is done instead waits for the exchange.
#[actix::test]
async fn a_fallback_that_was_under_way_is_carried_out_after_a_restart() {
    let mut stage = Stage::set().await;
    let alpha = poor(&mut stage, or_reduce()).await;
    let unavailable = Fault::Status {
        status: 503,
        code: Some("SERVICE_UNAVAILABLE".to_owned()),
        retry_after: Some(3.0),
        plain: false,
    };
    let close = unavailable
        .on_key(&alpha.key)
        .on_route(crate::harness::CLOSE);
    stage.control.inject(close).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.failed(&alpha).await;
    let control = stage.control.clone();
    stage
        .until("it is turned away", || {
            control.requests().by_status.contains_key(&503)
        })
        .await;
    stage.stop().await;
    stage.control.clear_faults();
    stage.start_again().await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    stage.end().await;
}

#[actix::test]
async fn what_the_exchange_refuses_to_add_is_followed_by_the_fallback() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", or_close()).await;
    stage.mark();
    let refused = Fault::status(400);
    let once = refused.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(DANGER).unwrap();
    let reason = stage.failed(&alpha).await;
    assert!(reason.starts_with("rejected: "), "{reason}");
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    stage.end().await;
}

/// Whatever became of the margin, nothing is closed for it.
async fn margin_after(fault: Fault, states: &[State]) {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", or_close()).await;
    stage.mark();
    let once = fault.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, states);
    assert_eq!(stage.kinds(&alpha), [LedgerKind::MarginAdded]);
    assert_eq!(stage.margin(&alpha), 2 * MARGIN);
    stage.end().await;
}

#[actix::test]
async fn a_lost_reply_is_no_reason_for_the_fallback() {
    margin_after(Fault::LoseReply, &[State::Done]).await;
}

#[actix::test]
async fn margin_that_did_not_arrive_is_no_reason_for_the_fallback() {
    margin_after(Fault::DropRequest, &[State::Failed, State::Done]).await;
}

/// The owner added something else meanwhile: a person must look, nothing is closed.
#[actix::test]
async fn margin_of_which_nobody_can_tell_is_no_reason_for_the_fallback() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", or_close()).await;
    stage.mark();
    let lost = Fault::DropRequest.on_key(&alpha.key).on_route(ADD_MARGIN);
    stage.control.inject(lost.times(1)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    let control = stage.control.clone();
    stage
        .until("it is lost", || control.faults().is_empty())
        .await;
    stage.add_by_hand(&alpha, alpha.position, 7777).await;
    stage
        .wait_until("it is uncertain", |event| {
            matches!(event, Event::Uncertain { .. })
        })
        .await;
    assert!(stage.kinds(&alpha).is_empty());
    assert_eq!(stage.fired(&guard), 1);
    stage.end().await;
}
