//! Rules on profit and loss: each action at its percentage, by either basis, in its direction; once a
//! crossing; and what changes nothing, or cannot be set, is not sent.

use serde_json::{Value, json};
use vigia::domain::execution::{SkipReason, State};
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Price;
use vigia::exchange::StopLoss;
use vigia::simulator::{Fault, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{CALM, CLOSE, Stage, Trader, but, long, short};

const STOPLOSS: &str = "/v3/futures/isolated/trade/stoploss";
const TAKEPROFIT: &str = "/v3/futures/isolated/trade/takeprofit";
/// A long of 10x that was opened at 100,000 has won 60.4 % of its margin here.
const UP: f64 = 106_428.0;
/// And lost 30.9 % here.
const DOWN: f64 = 97_000.0;

fn update_tp() -> Value {
    json!({
        "action": "update_tp", "new_takeprofit": 120_000, "trigger_pnl_percentage": 60,
        "pnl_basis": "margin",
    })
}

fn update_sl() -> Value {
    json!({
        "action": "update_sl", "new_stoploss": 95_000, "trigger_pnl_percentage": 30,
        "pnl_basis": "margin", "direction": "loss",
    })
}

fn close(action: &str) -> Value {
    json!({ "action": action, "trigger_pnl_percentage": 30, "pnl_basis": "margin" })
}

/// A rule of one account, a price that fires it, and what goes wrong; then it is done.
async fn done_at(config: Value, usd: f64, fault: Option<(Fault, &str)>) -> (Stage, Trader) {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.ruled("alpha", config).await;
    stage.mark();
    if let Some((fault, route)) = fault {
        let fault = fault.on_key(&alpha.key).on_route(route).times(1);
        stage.control.inject(fault).unwrap();
    }
    stage.control.set_price(usd).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    (stage, alpha)
}

async fn sets_a_takeprofit(fault: Option<Fault>) {
    let fault = fault.map(|fault| (fault, TAKEPROFIT));
    let (stage, alpha) = done_at(update_tp(), UP, fault).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::TakeprofitSet]);
    assert_eq!(stage.running(&alpha)[0].takeprofit, 120_000.0);
    let audit = stage.audit(&alpha).await;
    let entry = &audit[0].entry;
    let message = format!("TP/SL executed: update_tp for position {}", alpha.position);
    assert_eq!((&*entry.kind, &entry.message), ("tp_sl_executed", &message));
    // 1e12 × (1 / 100,000 − 1 / 106,428) satoshis.
    assert_eq!(entry.data["pnl"], json!(603_976));
    let percentage = entry.data["pnlPercentage"].as_f64().unwrap();
    assert!((percentage - 60.397_6).abs() < 1e-3, "{percentage}");
    stage.end().await;
}

#[actix::test]
async fn update_tp_sets_the_takeprofit() {
    sets_a_takeprofit(None).await;
}

#[actix::test]
async fn an_update_whose_reply_is_lost_is_proven_by_the_trade() {
    sets_a_takeprofit(Some(Fault::LoseReply)).await;
}

#[actix::test]
async fn an_update_that_did_not_arrive_is_repeated() {
    sets_a_takeprofit(Some(Fault::DropRequest)).await;
}

async fn sets_a_stoploss(fault: Option<Fault>) {
    let fault = fault.map(|fault| (fault, STOPLOSS));
    let (stage, alpha) = done_at(update_sl(), DOWN, fault).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::StoplossSet]);
    assert_eq!(stage.running(&alpha)[0].stoploss, 95_000.0);
    stage.end().await;
}

#[actix::test]
async fn update_sl_sets_the_stoploss() {
    sets_a_stoploss(None).await;
}

#[actix::test]
async fn a_stop_whose_reply_is_lost_is_proven_by_the_trade() {
    sets_a_stoploss(Some(Fault::LoseReply)).await;
}

async fn closes(action: &str, usd: f64, fault: Option<Fault>) {
    let fault = fault.map(|fault| (fault, CLOSE));
    let (stage, alpha) = done_at(close(action), usd, fault).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    assert_eq!(stage.audit(&alpha).await[0].entry.data["action"], action);
    stage.end().await;
}

#[actix::test]
async fn close_tp_closes_with_a_profit() {
    closes("close_tp", UP, None).await;
}

#[actix::test]
async fn close_sl_closes_at_a_loss() {
    closes("close_sl", DOWN, None).await;
}

#[actix::test]
async fn a_close_whose_reply_is_lost_is_proven() {
    closes("close_sl", DOWN, Some(Fault::LoseReply)).await;
}

/// 1,000 % of the quantity are 100,000 satoshis: 10 % of the margin.
#[actix::test]
async fn by_quantity_satoshis_are_held_against_dollars_as_the_old_worker_did() {
    let mut stage = Stage::set().await;
    let rule = json!({ "action": "close_tp", "trigger_pnl_percentage": 1000 });
    let (alpha, guard) = stage.ruled("alpha", rule).await;
    stage.mark();
    // 99,900 satoshis, then 100,209.
    stage.control.set_price(101_009.0).unwrap();
    stage.price_seen(101_009.0).await;
    assert_eq!(stage.fired(&guard), 0);
    stage.control.set_price(101_012.5).unwrap();
    stage.done(&alpha).await;
    let data = stage.audit(&alpha).await.remove(0).entry.data;
    let percentage = data["pnlPercentage"].as_f64().unwrap();
    assert!((percentage - 1002.3).abs() < 1.0, "{percentage}");
    stage.end().await;
}

#[actix::test]
async fn each_direction_fires_on_its_side_alone() {
    let mut stage = Stage::set().await;
    let of = |direction: &str| {
        but(
            update_tp(),
            &json!({
                "trigger_pnl_percentage": 30, "direction": direction, "cooldown_seconds": 0,
            }),
        )
    };
    let (any, _) = stage.ruled("any", of("any")).await;
    let (profit, _) = stage.ruled("profit", of("profit")).await;
    let (loss, _) = stage.ruled("loss", of("loss")).await;
    let shorted = stage.trader_of("short", |config| config, short(10.0)).await;
    let low = but(of("profit"), &json!({ "new_takeprofit": 80_000 }));
    let rule = stage.automation(&shorted, RuleKind::TpSl, low).await;
    stage.armed(&rule).await;
    stage.mark();
    stage.control.set_price(UP).unwrap();
    stage.done(&any).await;
    stage.done(&profit).await;
    stage.control.set_price(DOWN).unwrap();
    stage.done(&loss).await;
    stage.done(&shorted).await;
    assert_eq!(stage.effects(&profit).len(), 1);
    assert_eq!(stage.effects(&loss)[0].price, Some(120_000.0));
    let fired = stage.executions(&loss).await;
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].decision.price.usd(), DOWN);
    // From profit to loss it was false for a moment at most: nothing new can have been set.
    assert_eq!(stage.effects(&any).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn what_is_set_already_is_not_sent() {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.takeprofit = Price::from_usd(120_000.0);
    let alpha = stage.trader_of("alpha", |config| config, trade).await;
    let rule = stage.automation(&alpha, RuleKind::TpSl, update_tp()).await;
    stage.armed(&rule).await;
    stage.mark();
    stage.control.set_price(UP).unwrap();
    stage.stands(&alpha, State::Skipped).await;
    let rows = stage.executions(&alpha).await;
    assert_eq!(rows[0].skipped(), Some(SkipReason::AlreadySet));
    assert_eq!(stage.asked("PUT", TAKEPROFIT), 0);
    stage.end().await;
}

async fn trailing(config: Value) -> (Stage, Trader) {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.stoploss = Some(StopLoss::Trailing(0.5));
    let alpha = stage.trader_of("alpha", |config| config, trade).await;
    let rule = stage.automation(&alpha, RuleKind::TpSl, config).await;
    stage.armed(&rule).await;
    stage.mark();
    stage.control.set_price(DOWN).unwrap();
    (stage, alpha)
}

#[actix::test]
async fn a_trailing_stop_is_left_alone() {
    let (mut stage, alpha) = trailing(update_sl()).await;
    stage.stands(&alpha, State::Skipped).await;
    let rows = stage.executions(&alpha).await;
    assert_eq!(rows[0].skipped(), Some(SkipReason::TrailingStop));
    assert_eq!(stage.asked("PUT", STOPLOSS), 0);
    stage.end().await;
}

#[actix::test]
async fn a_trailing_stop_is_replaced_where_the_rule_says_so() {
    let replacing = but(update_sl(), &json!({ "replace_trailing": true }));
    let (mut stage, alpha) = trailing(replacing).await;
    stage.done(&alpha).await;
    let trade = stage.running(&alpha).remove(0);
    assert_eq!(
        (trade.stoploss, trade.stoploss_trailing_distance),
        (95_000.0, 0.0)
    );
    stage.end().await;
}

#[actix::test]
async fn a_stop_beyond_liquidation_has_failed_and_the_reason_says_what_is_allowed() {
    let mut stage = Stage::set().await;
    let beyond = but(update_sl(), &json!({ "new_stoploss": 90_000 }));
    let (alpha, _) = stage.ruled("alpha", beyond).await;
    let liquidation = stage.running(&alpha)[0].liquidation;
    stage.mark();
    stage.control.set_price(DOWN).unwrap();
    let reason = stage.failed(&alpha).await;
    assert!(reason.starts_with("out_of_range: "), "{reason}");
    assert!(
        reason.contains(&format!("from the liquidation at {liquidation}")),
        "{reason}"
    );
    assert_eq!(stage.asked("PUT", STOPLOSS), 0);
    stage.end().await;
}

/// Set, taken away by the owner, and set again at the next crossing: not before the condition was
/// false, and not before the cooldown is over.
async fn fires_again(restart: bool) {
    let mut stage = Stage::set().await;
    let resting = but(update_tp(), &json!({ "cooldown_seconds": 3 }));
    let (alpha, rule) = stage.ruled("alpha", resting).await;
    let (beta, _) = stage
        .ruled(
            "beta",
            but(close("close_tp"), &json!({ "trigger_pnl_percentage": 65 })),
        )
        .await;
    stage.mark();
    stage.control.set_price(UP).unwrap();
    stage.done(&alpha).await;
    stage.drop_takeprofit(&alpha).await;
    // Still true: others fire meanwhile, this one does not.
    stage.control.set_price(UP + 1000.0).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.fired(&rule), 1);
    stage.mark();
    stage.control.set_price(CALM).unwrap();
    let wanted = rule.clone();
    stage
        .wait_until("the next episode is written down", move |event| {
            matches!(event, Event::Armed { automation, episode: 2, .. } if *automation == wanted)
        })
        .await;
    if restart {
        stage.stop().await;
        stage.start_again().await;
    }
    stage.mark();
    // True again within the cooldown, and true when that is over.
    stage.control.set_price(UP).unwrap();
    stage.done(&alpha).await;
    let rows = stage.executions(&alpha).await;
    let rest = rows[1].created_at - rows[0].finished_at.unwrap();
    assert!(rest.num_milliseconds() >= 3000, "after {rest}");
    assert_eq!(stage.effects(&alpha).len(), 2);
    stage.end().await;
}

#[actix::test]
async fn it_fires_again_at_the_next_crossing_after_the_cooldown() {
    fires_again(false).await;
}

#[actix::test]
async fn that_the_condition_was_false_outlives_a_restart() {
    fires_again(true).await;
}

/// A failure is an end like any other: nothing is tried again at the same crossing.
#[actix::test]
async fn what_the_exchange_refuses_has_failed_until_the_next_crossing() {
    let mut stage = Stage::set().await;
    let (alpha, rule) = stage
        .ruled("alpha", but(update_tp(), &json!({ "cooldown_seconds": 0 })))
        .await;
    let (beta, _) = stage
        .ruled(
            "beta",
            but(close("close_tp"), &json!({ "trigger_pnl_percentage": 65 })),
        )
        .await;
    stage.mark();
    let once = Fault::status(400)
        .on_key(&alpha.key)
        .on_route(TAKEPROFIT)
        .times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(UP).unwrap();
    let reason = stage.failed(&alpha).await;
    assert!(reason.starts_with("rejected: "), "{reason}");
    stage.control.set_price(UP + 1000.0).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.fired(&rule), 1);
    stage.control.set_price(CALM).unwrap();
    stage.price_seen(CALM).await;
    stage.control.set_price(UP).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    stage.end().await;
}
