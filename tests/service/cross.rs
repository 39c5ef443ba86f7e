//! Guards of the cross position: reducing, closing, adding margin; each once, and each proven where
//! its reply is lost.

use serde_json::json;
use vigia::domain::execution::{Action, State};
use vigia::domain::position::Side;
use vigia::simulator::{Fault, Injection, LedgerEntry, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{DANGER, MARGIN, Stage, Trader, adding, but, closing, reducing};

const ORDER: &str = "/v3/futures/cross/order";
const CLOSE: &str = "/v3/futures/cross/position/close";
const DEPOSIT: &str = "/v3/futures/cross/deposit";
const TRANSFERS: &str = "/v3/futures/cross/transfers";

fn post(fault: Fault, trader: &Trader, route: &str) -> Injection {
    fault
        .on_key(&trader.key)
        .on_route(route)
        .on_method("POST")
        .times(1)
}

fn bought(effects: &[LedgerEntry]) -> Vec<i64> {
    effects.iter().filter_map(|entry| entry.quantity).collect()
}

/// A guarded cross position in danger while something goes wrong; then it is done.
async fn done_despite(config: serde_json::Value, fault: Option<(Fault, &str)>) -> (Stage, Trader) {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.cross_guarded("alpha", config).await;
    stage.mark();
    if let Some((fault, route)) = fault {
        stage.control.inject(post(fault, &alpha, route)).unwrap();
    }
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    (stage, alpha)
}

async fn reduced_once(fault: Option<Fault>, states: &[State]) {
    let fault = fault.map(|fault| (fault, ORDER));
    let (stage, alpha) = done_despite(reducing(), fault).await;
    let effects = stage.effects(&alpha);
    assert_eq!(effects[0].kind, LedgerKind::CrossFilled);
    assert_eq!(bought(&effects), [-5000]);
    assert_eq!(stage.cross(&alpha).quantity, 5000);
    assert_eq!(stage.states(&alpha).await, states);
    let audit = stage.audit(&alpha).await;
    let data = &audit[0].entry.data;
    assert_eq!(
        (&data["action"], &data["quantity"]),
        (&json!("reduce_position"), &json!(5000))
    );
    stage.end().await;
}

#[actix::test]
async fn a_cross_position_is_reduced_by_an_opposite_order() {
    reduced_once(None, &[State::Done]).await;
}

#[actix::test]
async fn an_order_whose_reply_is_lost_is_proven_by_its_client_id() {
    reduced_once(Some(Fault::LoseReply), &[State::Done]).await;
}

#[actix::test]
async fn an_order_that_was_not_applied_is_decided_afresh() {
    reduced_once(Some(Fault::DropRequest), &[State::Failed, State::Done]).await;
}

#[actix::test]
async fn an_order_that_the_exchange_was_too_busy_for_is_sent_again() {
    reduced_once(Some(Fault::status(503)), &[State::Done]).await;
}

/// 20 % are 2,000 of 10,000, then 1,600 of 8,000, then 1,280 of 6,400: without a pause between them,
/// each order is decided on what the one before it has left.
#[actix::test]
async fn each_order_is_one_of_what_the_one_before_has_left() {
    let at_once = json!({
        "reduce_percentage": 20, "cooldown_seconds": 0, "max_executions_per_day": 3,
    });
    let (mut stage, alpha) = done_despite(but(reducing(), &at_once), None).await;
    stage.alarm(&alpha, "daily_limit").await;
    let effects = stage.effects(&alpha);
    assert_eq!(bought(&effects), [-2000, -1600, -1280]);
    assert_eq!(stage.cross(&alpha).quantity, 5120);
    stage.end().await;
}

/// Between our look and our order the owner sells as well: the order turns the position round.
async fn turned(lost: bool) {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.cross_guarded("alpha", reducing()).await;
    stage.mark();
    let late = post(Fault::DelayRequest { ms: 500 }, &alpha, ORDER);
    stage.control.inject(late).unwrap();
    stage.control.set_price(DANGER).unwrap();
    let control = stage.control.clone();
    stage
        .until("ours is on its way", || {
            let late = |fault: &Injection| matches!(fault.fault, Fault::DelayRequest { .. });
            !control.faults().iter().any(late)
        })
        .await;
    stage.order_by_hand(&alpha, Side::Sell, 8000).await;
    if lost {
        let lost = post(Fault::LoseReply, &alpha, ORDER);
        stage.control.inject(lost).unwrap();
    }
    stage.alarm(&alpha, "position_turned").await;
    stage.stands(&alpha, State::Uncertain).await;
    assert_eq!(bought(&stage.effects(&alpha)), [-5000]);
    assert_eq!(stage.cross(&alpha).quantity, -3000);
    assert_eq!(stage.fired(&guard), 1);
    stage.note(&alpha, LedgerKind::CrossFilled, None);
    stage.end().await;
}

#[actix::test]
async fn an_order_that_turns_the_position_round_is_an_alarm_and_uncertain() {
    turned(false).await;
}

#[actix::test]
async fn so_is_one_whose_reply_is_lost() {
    turned(true).await;
}

async fn closed_once(fault: Option<Fault>, states: &[State]) {
    let fault = fault.map(|fault| (fault, CLOSE));
    let (stage, alpha) = done_despite(closing(), fault).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::CrossClosed]);
    assert_eq!(stage.cross(&alpha).quantity, 0);
    assert_eq!(stage.states(&alpha).await, states);
    let rows = stage.executions(&alpha).await;
    assert_eq!(rows[0].action, Action::CrossClose { side: Side::Buy });
    stage.end().await;
}

#[actix::test]
async fn a_cross_position_is_closed_once() {
    closed_once(None, &[State::Done]).await;
}

#[actix::test]
async fn a_close_whose_reply_is_lost_is_proven_by_the_flat_position() {
    closed_once(Some(Fault::LoseReply), &[State::Done]).await;
}

#[actix::test]
async fn a_close_that_did_not_arrive_is_repeated() {
    closed_once(Some(Fault::DropRequest), &[State::Done]).await;
}

#[actix::test]
async fn a_close_that_is_answered_500_is_looked_up_and_repeated() {
    closed_once(Some(Fault::status(500)), &[State::Done]).await;
}

#[actix::test]
async fn a_close_that_is_refused_has_failed_and_is_tried_again() {
    closed_once(Some(Fault::status(400)), &[State::Failed, State::Done]).await;
}

/// Without a cooldown the guard looks again at once: at the flat position, not at the old row.
#[actix::test]
async fn after_a_close_nothing_is_closed_again() {
    let at_once = but(closing(), &json!({ "cooldown_seconds": 0 }));
    let (mut stage, alpha) = done_despite(at_once, None).await;
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the service knows", || {
            shared.accounts.load()[&id].view.load().rows.is_empty()
        })
        .await;
    assert_eq!(stage.asked("POST", CLOSE), 1, "asked once");
    stage.end().await;
}

async fn deposited_once(fault: Option<Fault>, states: &[State]) {
    let fault = fault.map(|fault| (fault, DEPOSIT));
    let (stage, alpha) = done_despite(adding(), fault).await;
    let effects = stage.effects(&alpha);
    assert_eq!(stage.kinds(&alpha), [LedgerKind::CrossDeposited]);
    assert_eq!(effects[0].amount, Some(MARGIN));
    assert_eq!(stage.states(&alpha).await, states);
    stage.end().await;
}

#[actix::test]
async fn margin_is_added_to_a_cross_position_by_a_deposit() {
    deposited_once(None, &[State::Done]).await;
}

#[actix::test]
async fn a_deposit_whose_reply_is_lost_is_proven_by_the_transfers() {
    deposited_once(Some(Fault::LoseReply), &[State::Done]).await;
}

#[actix::test]
async fn a_deposit_that_was_not_applied_has_failed_and_is_decided_afresh() {
    deposited_once(Some(Fault::DropRequest), &[State::Failed, State::Done]).await;
}

/// Whose of the two it was, nobody can tell.
#[actix::test]
async fn two_equal_transfers_are_uncertain() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.cross_guarded("alpha", adding()).await;
    stage.mark();
    stage
        .control
        .inject(post(Fault::LoseReply, &alpha, DEPOSIT))
        .unwrap();
    let unread = Fault::status(503).on_key(&alpha.key).on_route(TRANSFERS);
    stage.control.inject(unread).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::CrossDeposited, 1).await;
    stage.deposit_by_hand(&alpha, MARGIN).await;
    stage.control.clear_faults();
    stage
        .wait_until("it is uncertain", |event| {
            matches!(event, Event::Uncertain { .. })
        })
        .await;
    let rows = stage.executions(&alpha).await;
    let evidence = rows[0].evidence.clone().unwrap();
    assert_eq!(evidence["transfers"].as_array().map(Vec::len), Some(2));
    assert_eq!(stage.fired(&guard), 1);
    stage.note(&alpha, LedgerKind::CrossDeposited, Some(MARGIN));
    stage.end().await;
}
