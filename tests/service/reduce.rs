//! A guard that reduces an isolated trade: the exchange cannot, so it is closed and what is kept is
//! opened again; once, whatever is lost on the way, and the trade that takes its place inherits.

use serde_json::json;
use vigia::domain::execution::{Action, State};
use vigia::domain::ids::AutomationId;
use vigia::domain::units::Price;
use vigia::exchange::{NewTrade, StopLoss};
use vigia::simulator::{AccountConfig, Fault, LedgerKind};
use vigia::supervision::failpoint::{self, Deed};
use vigia::telemetry::Event;

use crate::harness::{CLOSE, DANGER, Script, Stage, TRADE, Trader, but, long, reducing, short};

/// Where [`reducing`] fires for a long that was opened at [`DANGER`] with 10x.
const AGAIN: f64 = 86_500.0;

fn price(usd: f64) -> Option<Price> {
    Price::from_usd(usd)
}

fn as_usual(config: AccountConfig) -> AccountConfig {
    config
}

/// An account with a position of 10x that is closed once so much of its margin is lost.
async fn bystander(stage: &mut Stage, threshold: f64) -> Trader {
    let trader = stage.trader("beta").await;
    let config = json!({
        "action": "close_position", "metric": "margin_used", "margin_threshold": threshold,
    });
    let guard = stage.guard(&trader, config).await;
    stage.armed(&guard).await;
    trader
}

#[actix::test]
async fn what_is_kept_is_opened_again_with_side_leverage_and_stops() {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.quantity = vigia::domain::units::Usd(10_001);
    trade.stoploss = price(91_500.0).map(StopLoss::Fixed);
    trade.takeprofit = price(110_000.0);
    let alpha = stage.trader_of("alpha", as_usual, trade).await;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    let kept = stage.running(&alpha).remove(0);
    assert_eq!(
        (kept.quantity, kept.side),
        (5000, "buy"),
        "whole USD, rounded down"
    );
    assert_eq!((kept.leverage, kept.price), (10.0, DANGER));
    assert_eq!((kept.stoploss, kept.takeprofit), (91_500.0, 110_000.0));
    let audit = stage.audit(&alpha).await;
    assert_eq!(audit.len(), 1);
    let data = &audit[0].entry.data;
    assert_eq!(data["action"], "reduce_position");
    assert_eq!(data["successorId"], json!(kept.id));
    assert_eq!(data["positionId"], json!(alpha.position));
    assert_eq!(data["kept"], json!(5000));
    let rows = stage.executions(&alpha).await;
    assert_eq!((rows.len(), rows[0].state), (1, State::Done));
    stage.end().await;
}

#[actix::test]
async fn a_short_is_reduced_too() {
    let mut stage = Stage::set().await;
    let mut trade = short(25.0);
    trade.stoploss = price(103_900.0).map(StopLoss::Fixed);
    let alpha = stage.trader_of("alpha", as_usual, trade).await;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(103_000.0).unwrap();
    stage.done(&alpha).await;
    let kept = stage.running(&alpha).remove(0);
    assert_eq!((kept.quantity, kept.side), (5000, "sell"));
    assert_eq!((kept.leverage, kept.stoploss), (25.0, 103_900.0));
    stage.end().await;
}

#[actix::test]
async fn a_trailing_stop_stays_a_trailing_one() {
    let mut stage = Stage::set().await;
    let mut trade: NewTrade = long(10.0);
    trade.stoploss = Some(StopLoss::Trailing(0.5));
    let alpha = stage.trader_of("alpha", as_usual, trade).await;
    let before = stage.running(&alpha).remove(0).stoploss_trailing_distance;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let kept = stage.running(&alpha).remove(0);
    assert_eq!(
        (kept.quantity, kept.stoploss_trailing_distance),
        (5000, before)
    );
    stage.end().await;
}

/// The price rises over the take-profit between the legs, by less than what forbids the second.
#[actix::test]
async fn a_stop_that_is_out_of_range_by_then_is_left_out_and_told() {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.takeprofit = price(100_200.0);
    trade.stoploss = price(91_500.0).map(StopLoss::Fixed);
    let alpha = stage.trader_of("alpha", as_usual, trade).await;
    // Fires at once: its level is over the price.
    let early = json!({ "metric": "liquidation_distance", "margin_threshold": 0.5 });
    let slow = Fault::DelayReply { ms: 600 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(CLOSE).times(1)).unwrap();
    stage.guard(&alpha, but(reducing(), &early)).await;
    stage.applied(&alpha, LedgerKind::Closed, 1).await;
    stage.control.set_price(100_300.0).unwrap();
    stage.price_seen(100_300.0).await;
    stage.alarm(&alpha, "stops_left_out").await;
    stage.done(&alpha).await;
    let kept = stage.running(&alpha).remove(0);
    assert_eq!((kept.stoploss, kept.takeprofit), (91_500.0, 0.0));
    let audit = stage.audit(&alpha).await;
    assert_eq!(audit[0].entry.data["leftOut"], json!(["takeprofit"]));
    stage.end().await;
}

#[actix::test]
async fn where_nothing_would_be_left_it_is_closed() {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.quantity = vigia::domain::units::Usd(1);
    let alpha = stage.trader_of("alpha", as_usual, trade).await;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    let rows = stage.executions(&alpha).await;
    assert_eq!(rows[0].action, Action::ClosePosition);
    stage.end().await;
}

/// The cooldown of the trade that was reduced is that of the trade that took its place.
#[actix::test]
async fn the_successor_inherits_the_cooldown() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let beta = bystander(&mut stage, 0.7).await;
    stage.control.set_price(AGAIN).unwrap();
    stage.done(&beta).await;
    stage.stop().await;
    stage.start_again().await;
    stage.price_seen(AGAIN).await;
    let gamma = bystander(&mut stage, 0.1).await;
    stage.control.set_price(85_500.0).unwrap();
    stage.done(&gamma).await;
    assert_eq!(
        stage.executions(&alpha).await.len(),
        1,
        "the cooldown lasts"
    );
    stage.end().await;
}

/// A guard for one trade, by its id, guards the one that takes its place: also after a restart, and
/// not before the cooldown is over.
#[actix::test]
async fn the_successor_inherits_episode_and_filter_and_is_guarded_after_the_cooldown() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    let this_alone = json!({ "positions": [alpha.position], "cooldown_seconds": 3 });
    let guard = stage.guard(&alpha, but(reducing(), &this_alone)).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let successor = stage.successor(&alpha);
    stage.stop().await;
    stage.start_again().await;
    stage.mark();
    stage.control.set_price(AGAIN).unwrap();
    stage.done(&alpha).await;
    let rows = stage.executions(&alpha).await;
    assert_eq!(
        (rows.len(), rows[1].position, rows[1].episode),
        (2, successor, 2)
    );
    let rest = rows[1].created_at - rows[0].finished_at.unwrap();
    assert!(rest.num_milliseconds() >= 3000, "after {rest}");
    assert_eq!(stage.running(&alpha)[0].quantity, 2500);
    let second = stage.running(&alpha).len();
    assert_eq!(second, 1, "one position, not two");
    stage.end().await;
}

/// One close and one reopening, whatever becomes of the first leg.
async fn once_despite(fault: Fault) {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", reducing()).await;
    stage.mark();
    let fault = fault.on_key(&alpha.key).on_route(CLOSE);
    stage.control.inject(fault.times(1)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    reopened_once(stage, &alpha, &guard).await;
}

/// It fired once, there is one close and one reopening of half the size, and the audit log names what
/// follows.
async fn reopened_once(mut stage: Stage, alpha: &Trader, guard: &AutomationId) {
    assert_eq!(stage.kinds(alpha), [LedgerKind::Closed, LedgerKind::Filled]);
    assert_eq!(stage.running(alpha)[0].quantity, 5000);
    assert_eq!(stage.fired(guard), 1);
    let successor = json!(stage.successor(alpha));
    let audit = stage.audit(alpha).await;
    assert_eq!(audit[0].entry.data["successorId"], successor);
    stage.end().await;
}

#[actix::test]
async fn the_reply_of_the_first_leg_is_lost() {
    once_despite(Fault::LoseReply).await;
}

#[actix::test]
async fn the_first_leg_itself_is_lost() {
    once_despite(Fault::DropRequest).await;
}

#[actix::test]
async fn the_reply_of_the_second_leg_is_lost() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", reducing()).await;
    stage.mark();
    let slow = Fault::DelayReply { ms: 500 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(CLOSE).times(1)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::Closed, 1).await;
    let lost = Fault::LoseReply.on_key(&alpha.key).on_route(TRADE);
    stage
        .control
        .inject(lost.on_method("POST").times(1))
        .unwrap();
    stage.done(&alpha).await;
    reopened_once(stage, &alpha, &guard).await;
}

#[actix::test]
async fn an_executor_that_dies_between_the_legs_is_followed_by_one_reopening() {
    let mut stage = Script::new().alone().play().await;
    let (alpha, guard) = stage.guarded("alpha", reducing()).await;
    stage.mark();
    failpoint::set("execution.first_leg", None, Deed::Panic(1));
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let died = |event: &Event| matches!(event, Event::ActorDied { actor, .. } if actor.starts_with("executor/"));
    assert!(stage.events().iter().any(died), "the story was another");
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    assert_eq!(stage.fired(&guard), 1);
    stage.end().await;
}
