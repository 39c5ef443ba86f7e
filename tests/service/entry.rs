//! Entries: a market order when the price reaches the trigger, once, whatever is lost on the way, and
//! no more of them than the rule allows.

use serde_json::{Value, json};
use vigia::domain::execution::State;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{AccountConfig, Fault, LedgerKind};
use vigia::supervision::failpoint::{self, Deed};
use vigia::telemetry::Event;

use crate::harness::{CALM, Script, Stage, TRADE, Trader, but};

const TRIGGER: f64 = 95_000.0;
const ORDER: &str = "/v3/futures/cross/order";

fn buying() -> Value {
    json!({
        "side": "b", "quantity": 1000, "trigger_price": TRIGGER,
        "stoploss": 90_000, "takeprofit": 105_000,
    })
}

fn crossing() -> Value {
    json!({
        "side": "sell", "quantity": 2000, "trigger_price": 105_000, "margin_mode": "cross",
        "leverage": 25,
    })
}

async fn completed(stage: &mut Stage, entry: &AutomationId) {
    let wanted = entry.clone();
    stage
        .wait_until("it is completed", move |event| {
            matches!(event, Event::Completed { automation, .. } if *automation == wanted)
        })
        .await;
}

/// The price leaves the trigger, is seen there, and comes back; the next episode waits for it.
async fn next_crossing(stage: &mut Stage, entry: &AutomationId, episode: i64) {
    stage.control.set_price(CALM).unwrap();
    let wanted = entry.clone();
    stage
        .wait_until("the next episode", move |event| {
            matches!(event, Event::Armed { automation, episode: found, .. } if *automation == wanted && *found == episode)
        })
        .await;
    stage.mark();
    stage.control.set_price(TRIGGER).unwrap();
}

#[actix::test]
async fn a_buy_enters_at_its_trigger_and_not_a_tick_above_with_its_stops() {
    let mut stage = Stage::set().await;
    let (alpha, entry) = stage.entering("alpha", buying()).await;
    stage.mark();
    stage.control.set_price(TRIGGER + 0.5).unwrap();
    stage.price_seen(TRIGGER + 0.5).await;
    assert_eq!(stage.fired(&entry), 0);
    stage.control.set_price(TRIGGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Filled]);
    let trade = stage.running(&alpha).remove(0);
    assert_eq!(
        (trade.r#type, trade.side, trade.quantity),
        ("market", "buy", 1000)
    );
    assert_eq!(
        (trade.leverage, trade.stoploss, trade.takeprofit),
        (10.0, 90_000.0, 105_000.0)
    );
    let audit = stage.audit(&alpha).await;
    let row = &audit[0].entry;
    assert_eq!(
        (&*row.kind, &*row.message),
        (
            "auto_entry_executed",
            "Auto Entry executed: b 1000 contracts"
        )
    );
    let data = &row.data;
    assert_eq!(data["tradeId"], json!(trade.id));
    assert_eq!(
        (&data["side"], &data["quantity"]),
        (&json!("b"), &json!(1000))
    );
    assert_eq!(
        (&data["leverage"], &data["market"]),
        (&json!(10), &json!("btcusd"))
    );
    stage.end().await;
}

#[actix::test]
async fn a_cross_sell_enters_at_its_trigger_with_its_leverage_set_first() {
    let mut stage = Stage::set().await;
    let (alpha, entry) = stage.entering("alpha", crossing()).await;
    stage.mark();
    stage.control.set_price(104_999.5).unwrap();
    stage.price_seen(104_999.5).await;
    assert_eq!(stage.fired(&entry), 0);
    stage.control.set_price(105_000.0).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::CrossFilled]);
    let cross = stage.cross(&alpha);
    assert_eq!((cross.quantity, cross.leverage), (-2000, 25));
    let ledger = stage.control.ledger();
    let of = |kind| {
        ledger
            .iter()
            .position(|entry| entry.key == alpha.key && entry.kind == kind)
    };
    assert!(of(LedgerKind::CrossLeverageSet) < of(LedgerKind::CrossFilled));
    let data = stage.audit(&alpha).await.remove(0).entry.data;
    assert_eq!(
        (&data["side"], &data["leverage"]),
        (&json!("s"), &json!(25))
    );
    stage.end().await;
}

#[actix::test]
async fn it_enters_so_often_and_is_completed_for_good() {
    let mut stage = Stage::set().await;
    let (alpha, entry) = stage
        .entering("alpha", but(buying(), &json!({ "max_entries": 2 })))
        .await;
    stage.mark();
    stage.control.set_price(TRIGGER).unwrap();
    stage.done(&alpha).await;
    next_crossing(&mut stage, &entry, 2).await;
    stage.done(&alpha).await;
    next_crossing(&mut stage, &entry, 3).await;
    completed(&mut stage, &entry).await;
    stage.stop().await;
    stage.start_again().await;
    stage.mark();
    stage.price_seen(TRIGGER).await;
    completed(&mut stage, &entry).await;
    assert_eq!(stage.running(&alpha).len(), 2);
    assert_eq!(stage.executions(&alpha).await.len(), 2);
    stage.end().await;
}

#[actix::test]
async fn an_order_that_is_refused_is_no_entry() {
    let mut stage = Stage::set().await;
    let (alpha, entry) = stage.entering("alpha", buying()).await;
    stage.mark();
    let once = Fault::status(400)
        .on_key(&alpha.key)
        .on_route(TRADE)
        .on_method("POST")
        .times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(TRIGGER).unwrap();
    let reason = stage.failed(&alpha).await;
    assert!(reason.starts_with("rejected: "), "{reason}");
    next_crossing(&mut stage, &entry, 2).await;
    stage.done(&alpha).await;
    next_crossing(&mut stage, &entry, 3).await;
    completed(&mut stage, &entry).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.running(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn without_a_trigger_price_nothing_happens_by_itself() {
    let mut stage = Stage::set().await;
    let rule = json!({ "side": "b", "quantity": 1000 });
    let shape = |config: AccountConfig| config;
    let alpha = stage.client("alpha", shape).await;
    stage.automation(&alpha, RuleKind::AutoEntry, rule).await;
    let (beta, _) = stage.entering("beta", buying()).await;
    stage.mark();
    stage.control.set_price(TRIGGER).unwrap();
    stage.done(&beta).await;
    assert!(stage.executions(&alpha).await.is_empty());
    assert!(stage.running(&alpha).is_empty());
    stage.end().await;
}

/// One position, whatever becomes of the request.
async fn once_despite(config: Value, usd: f64, fault: Fault, route: &str) -> (Stage, Trader) {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.entering("alpha", config).await;
    stage.mark();
    let fault = fault.on_key(&alpha.key).on_route(route).on_method("POST");
    stage.control.inject(fault.times(1)).unwrap();
    stage.control.set_price(usd).unwrap();
    (stage, alpha)
}

#[actix::test]
async fn an_entry_whose_reply_is_lost_is_proven_by_its_client_id() {
    let (mut stage, alpha) = once_despite(buying(), TRIGGER, Fault::LoseReply, TRADE).await;
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Filled]);
    let data = stage.audit(&alpha).await.remove(0).entry.data;
    assert_eq!(data["tradeId"], json!(stage.running(&alpha)[0].id));
    stage.end().await;
}

#[actix::test]
async fn a_cross_entry_whose_reply_is_lost_is_proven_by_its_client_id() {
    let (mut stage, alpha) = once_despite(crossing(), 105_000.0, Fault::LoseReply, ORDER).await;
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::CrossFilled]);
    assert_eq!(stage.cross(&alpha).quantity, -2000);
    stage.end().await;
}

#[actix::test]
async fn an_entry_that_was_not_applied_has_failed() {
    let (mut stage, alpha) = once_despite(buying(), TRIGGER, Fault::DropRequest, TRADE).await;
    assert_eq!(stage.failed(&alpha).await, "not_applied");
    assert!(stage.running(&alpha).is_empty());
    stage.end().await;
}

#[actix::test]
async fn a_cross_entry_that_was_not_applied_has_failed() {
    let (mut stage, alpha) = once_despite(crossing(), 105_000.0, Fault::DropRequest, ORDER).await;
    assert_eq!(stage.failed(&alpha).await, "not_applied");
    assert_eq!(stage.cross(&alpha).quantity, 0);
    stage.end().await;
}

/// Its executor dies at a place on the way to the exchange.
async fn dies_at(place: &str, wanted: State, positions: usize) {
    let mut stage = Script::new().alone().play().await;
    let (alpha, entry) = stage.entering("alpha", buying()).await;
    stage.mark();
    failpoint::set(place, None, Deed::Panic(1));
    stage.control.set_price(TRIGGER).unwrap();
    stage.stands(&alpha, wanted).await;
    assert_eq!(stage.states(&alpha).await, [wanted]);
    assert_eq!(stage.running(&alpha).len(), positions);
    assert_eq!(stage.effects(&alpha).len(), positions);
    assert_eq!(stage.fired(&entry), 1);
    stage.end().await;
}

#[actix::test]
async fn a_death_before_it_is_sent_costs_nothing() {
    dies_at("execution.planned", State::Done, 1).await;
}

#[actix::test]
async fn a_death_while_it_may_have_been_sent_is_proven_and_not_repeated() {
    dies_at("execution.sending", State::Failed, 0).await;
}

#[actix::test]
async fn a_death_over_its_answer_is_proven_by_the_client_id() {
    dies_at("execution.answered", State::Done, 1).await;
}

/// An entry stands in the journal as fired before anything is asked of the exchange; the automation
/// dies over it.
#[actix::test]
async fn an_automation_that_dies_over_its_trigger_enters_once() {
    let mut stage = Stage::set().await;
    let (alpha, entry) = stage.entering("alpha", buying()).await;
    stage.mark();
    failpoint::set("automation.fired", Some(&alpha.name), Deed::Panic(1));
    stage.control.set_price(TRIGGER).unwrap();
    stage.died(&format!("automation/{entry}")).await;
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Filled]);
    stage.end().await;
}
