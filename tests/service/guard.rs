//! The margin guard: fires at its level and not a tick before, once or as long as the danger lasts,
//! and says so where it cannot help.

use serde_json::json;
use vigia::domain::execution::{SkipReason, State};
use vigia::simulator::{Fault, LedgerKind};

use crate::harness::{ADD_MARGIN, CALM, DANGER, MARGIN, Script, Stage, adding_but, closing};

/// What the sheet of the protocol says of a long of 10,000 USD and 10x at a price: P&L, margin and
/// maintenance margin in satoshis, liquidation price.
fn sheet(price: f64) -> (f64, f64, f64, f64) {
    let notional = 10_000.0 * 1e8;
    let pl = (notional * (1.0 / CALM - 1.0 / price)).round();
    // Opening and closing fee, of 0.1 % each, the latter at the price of bankruptcy.
    (pl, MARGIN as f64, 11_000.0, 90_909.0)
}

fn margin_used(price: f64) -> f64 {
    let (pl, margin, ..) = sheet(price);
    -pl / margin
}

fn margin_ratio(price: f64) -> f64 {
    let (pl, margin, maintenance, _) = sheet(price);
    maintenance / (margin + maintenance + pl)
}

fn liquidation_distance(price: f64) -> f64 {
    (price - sheet(price).3) / price
}

/// Of two guards one tick apart, only the nearer fires at its level; then the other.
async fn fires_at_its_level_and_not_a_tick_before(name: &str, metric: fn(f64) -> f64) {
    const LEVEL: f64 = 93_500.0;
    const TICK: f64 = 0.5;
    let at = |price: f64| {
        let level = json!({ "metric": name, "margin_threshold": metric(price) });
        adding_but(&level)
    };
    let mut stage = Stage::set().await;
    let (far, far_guard) = stage.guarded("far", at(LEVEL)).await;
    let (near, near_guard) = stage.guarded("near", at(LEVEL + TICK)).await;
    let trades = stage.control.account(&far.key).unwrap().trades;
    assert_eq!(trades[0].maintenance_margin, 11_000, "as on the sheet");
    stage.mark();
    stage.control.set_price(LEVEL + 2.0 * TICK).unwrap();
    stage.price_seen(LEVEL + 2.0 * TICK).await;
    stage.control.set_price(LEVEL + TICK).unwrap();
    stage.done(&near).await;
    assert_eq!(stage.fired(&far_guard), 0, "a tick too early");
    let fired = stage.executions(&near).await;
    assert_eq!(fired[0].decision.price.usd(), LEVEL + TICK, "late");
    stage.control.set_price(LEVEL).unwrap();
    stage.done(&far).await;
    let fired = stage.executions(&far).await;
    assert_eq!(fired[0].decision.price.usd(), LEVEL);
    assert_eq!((stage.fired(&far_guard), stage.fired(&near_guard)), (1, 1));
    stage.end().await;
}

#[actix::test]
async fn margin_used_fires_at_its_level() {
    fires_at_its_level_and_not_a_tick_before("margin_used", margin_used).await;
}

#[actix::test]
async fn margin_ratio_fires_at_its_level() {
    fires_at_its_level_and_not_a_tick_before("margin_ratio", margin_ratio).await;
}

#[actix::test]
async fn liquidation_distance_fires_at_its_level() {
    fires_at_its_level_and_not_a_tick_before("liquidation_distance", liquidation_distance).await;
}

#[actix::test]
async fn a_position_is_closed_once_however_the_price_goes_on() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    stage.mark();
    for price in [DANGER, 92_500.0, 94_500.0, 92_900.0] {
        stage.control.set_price(price).unwrap();
        stage.price_seen(price).await;
    }
    stage.done(&alpha).await;
    let effects = stage.effects(&alpha);
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].kind, LedgerKind::Closed);
    assert_eq!(stage.fired(&guard), 1);
    stage.end().await;
}

#[actix::test]
async fn an_add_that_is_too_small_is_followed_by_more_while_the_danger_lasts() {
    let mut stage = Stage::set().await;
    let small = json!({ "add_margin_amount": 20_000, "cooldown_seconds": 0 });
    let (alpha, guard) = stage.guarded("alpha", adding_but(&small)).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    // At 93,000 the loss is 752,688: 70 % of a margin of 1,075,269.
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("there is margin enough", || {
            control.account(&key).unwrap().trades[0].margin >= 1_075_269
        })
        .await;
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the service knows", || {
            let view = shared.accounts.load()[&id].view.load_full();
            view.rows[0].position.margin.0 >= 1_075_269
        })
        .await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.effects(&alpha).len(), 4, "80,000 are enough");
    assert_eq!(stage.fired(&guard), 4);
    stage.end().await;
}

#[actix::test]
async fn the_next_add_waits_for_the_cooldown_and_for_no_crossing() {
    let mut stage = Stage::set().await;
    let small = json!({ "add_margin_amount": 40_000, "cooldown_seconds": 1 });
    let (alpha, _) = stage.guarded("alpha", adding_but(&small)).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("two were added", || {
            control.account(&key).unwrap().trades[0].margin >= MARGIN + 80_000
        })
        .await;
    stage.stands(&alpha, State::Done).await;
    let rows = stage.executions(&alpha).await;
    let rest = rows[1].created_at - rows[0].finished_at.unwrap();
    assert!(rest.num_milliseconds() >= 1000, "after {rest}");
    assert_eq!(rows.len(), 2);
    stage.end().await;
}

#[actix::test]
async fn an_add_that_is_refused_is_tried_again_after_a_second() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", adding_but(&json!({}))).await;
    stage.mark();
    let refusal = Fault::status(400);
    let once = refusal.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(DANGER).unwrap();
    assert!(stage.failed(&alpha).await.starts_with("rejected"));
    stage.done(&alpha).await;
    let rows = stage.executions(&alpha).await;
    let rest = (rows[1].created_at - rows[0].finished_at.unwrap()).num_milliseconds();
    assert!((1000..2500).contains(&rest), "after {rest} ms");
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.fired(&guard), 2);
    stage.end().await;
}

#[actix::test]
async fn without_a_balance_there_is_an_alarm_and_another_try_once_there_is_one() {
    let mut stage = Stage::set().await;
    // All that two positions leave goes into the second, which frees it when it is closed.
    let alpha = stage.trader_with("alpha", 2_100_000, 10).await;
    let other = stage.open(&alpha.credentials, 10).await;
    let left = stage.control.account(&alpha.key).unwrap().balance;
    stage.add_by_hand(&alpha, other.id, left).await;
    assert_eq!(stage.control.account(&alpha.key).unwrap().balance, 0);
    let only = adding_but(&json!({ "margin_threshold": 0.7 }));
    let guard = stage.guard(&alpha, only).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "no_balance").await;
    assert_eq!(stage.failed(&alpha).await, "no_balance");
    assert_eq!(stage.effects(&alpha).len(), 0);
    stage.close_by_hand(&alpha, other.id).await;
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert!(stage.margin(&alpha) > MARGIN);
    stage.end().await;
}

#[actix::test]
async fn at_the_exchanges_leverage_limit_there_is_an_alarm() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader_with("alpha", 200_000_000, 1).await;
    let guard = adding_but(&json!({ "margin_threshold": 0.05 }));
    let guard = stage.guard(&alpha, guard).await;
    stage.armed(&guard).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "leverage_limit").await;
    assert_eq!(stage.failed(&alpha).await, "leverage_limit");
    assert_eq!(stage.asked("POST", ADD_MARGIN), 0, "nothing was sent");
    stage.end().await;
}

/// One execution waits behind another of its account; when its turn comes, the danger is gone.
#[actix::test]
async fn what_has_become_needless_while_it_waited_is_not_sent() {
    let mut stage = Script::new().play().await;
    let (alpha, guard) = stage.guarded("alpha", adding_but(&json!({}))).await;
    let second = stage.open(&alpha.credentials, 10).await;
    let wanted = second.id;
    stage
        .wait_until("the second position is guarded", |event| {
            matches!(event, vigia::telemetry::Event::Armed { position, .. } if *position == wanted)
        })
        .await;
    stage.mark();
    let late = Fault::DelayReply { ms: 1500 };
    let late = late.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(late).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage
        .wait_until("both have fired and one is sent", |event| {
            matches!(event, vigia::telemetry::Event::Sending { .. })
        })
        .await;
    stage.control.set_price(CALM).unwrap();
    stage.price_seen(CALM).await;
    let reason = stage.wait_for("the other is skipped", |event| match event {
        vigia::telemetry::Event::Skipped { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, SkipReason::ConditionGone);
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.fired(&guard), 2);
    // The skip costs nothing: danger again, and it acts.
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 2);
    stage.end().await;
}
