//! How often a guard may act, for which positions, and how its threshold may be written.

use serde_json::json;
use vigia::domain::execution::State;
use vigia::domain::position::Side;
use vigia::simulator::{AccountConfig, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Stage, Trader, adding_but, but, closing};

#[actix::test]
async fn after_so_many_executions_a_day_there_is_an_alarm_and_nothing_more() {
    let mut stage = Stage::set().await;
    let twice = json!({
        "add_margin_amount": 20_000, "cooldown_seconds": 0, "max_executions_per_day": 2,
    });
    let (alpha, guard) = stage.guarded("alpha", adding_but(&twice)).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "daily_limit").await;
    assert_eq!(stage.effects(&alpha).len(), 2, "four would be needed");
    // Neither another crossing nor a restart lets it act before midnight.
    stage.control.set_price(CALM).unwrap();
    stage.price_seen(CALM).await;
    stage.stop().await;
    stage.start_again().await;
    let (beta, _) = stage.guarded("beta", closing()).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.alarm(&alpha, "daily_limit").await;
    stage.done(&beta).await;
    assert_eq!(stage.effects(&alpha).len(), 2);
    assert_eq!(stage.fired(&guard), 0);
    let told = |event: &&Event| matches!(event, Event::Alarm { account, what: "daily_limit", .. } if account.id == alpha.id);
    assert_eq!(stage.events().iter().filter(told).count(), 1, "told once");
    stage.end().await;
}

/// Alpha's guard fires, and has done all that it will do when beta's fires, later.
async fn closed_before_beta(stage: &mut Stage, alpha: &Trader) {
    let later = but(closing(), &json!({ "margin_threshold": 0.8 }));
    let (beta, _) = stage.guarded("beta", later).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(alpha).await;
    stage.control.set_price(92_500.0).unwrap();
    stage.done(&beta).await;
}

/// One account with a cross position and an isolated trade, both in danger.
async fn of_mode(mode: &str, wanted: LedgerKind) {
    let mut stage = Stage::set().await;
    let alpha = stage.cross_trader("alpha", Side::Buy, 10_000).await;
    stage.open(&alpha.credentials, 10).await;
    let one_mode = but(closing(), &json!({ "positions": [mode] }));
    let guard = stage.guard(&alpha, one_mode).await;
    stage.armed(&guard).await;
    closed_before_beta(&mut stage, &alpha).await;
    assert_eq!(stage.kinds(&alpha), [wanted]);
    stage.end().await;
}

#[actix::test]
async fn a_guard_of_isolated_trades_leaves_the_cross_position_alone() {
    of_mode("isolated", LedgerKind::Closed).await;
}

#[actix::test]
async fn a_guard_of_the_cross_position_leaves_isolated_trades_alone() {
    of_mode("cross", LedgerKind::CrossClosed).await;
}

#[actix::test]
async fn a_guard_of_one_trade_leaves_the_other_alone() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    let other = stage.open(&alpha.credentials, 10).await;
    let this_alone = but(closing(), &json!({ "positions": [alpha.position] }));
    let guard = stage.guard(&alpha, this_alone).await;
    stage.armed(&guard).await;
    closed_before_beta(&mut stage, &alpha).await;
    let left = stage.running(&alpha);
    assert_eq!((left.len(), &left[0].id), (1, &other.id.to_string()));
    stage.end().await;
}

/// 70 is 0.7: at 93,458 the loss is 70.0 % of the margin.
#[actix::test]
async fn a_threshold_over_one_is_a_percentage() {
    let mut stage = Stage::set().await;
    let percent = but(closing(), &json!({ "margin_threshold": 70 }));
    let (alpha, guard) = stage.guarded("alpha", percent).await;
    stage.mark();
    stage.control.set_price(93_459.0).unwrap();
    stage.price_seen(93_459.0).await;
    assert_eq!(stage.fired(&guard), 0);
    stage.control.set_price(93_457.5).unwrap();
    stage.done(&alpha).await;
    stage.end().await;
}

/// Its key may not do anything with cross margin: nobody calls the account blocked for it.
#[actix::test]
async fn a_key_without_the_right_to_cross_margin_guards_isolated_trades() {
    const SCOPES: [&str; 3] = [
        "account:read",
        "futures:isolated:read",
        "futures:isolated:write",
    ];
    let mut stage = Stage::set().await;
    let shape = |config: AccountConfig| config.with_permissions(&SCOPES);
    let alpha = stage
        .trader_of("alpha", shape, crate::harness::long(10.0))
        .await;
    let guard = stage
        .guard(
            &alpha,
            adding_but(&json!({ "cooldown_seconds": 1, "add_margin_amount": 20_000 })),
        )
        .await;
    stage.armed(&guard).await;
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::MarginAdded, 4).await;
    stage.stands(&alpha, State::Done).await;
    let asked = stage.asked("GET", "/v3/futures/cross/position");
    assert_eq!(asked, 1, "asked once, until the pause is over");
    let refused = |event: &Event| {
        use vigia::domain::connection::Health::{Blocked, Unauthorized};
        matches!(
            event,
            Event::ConnectionState {
                to: Blocked | Unauthorized,
                ..
            }
        )
    };
    assert!(!stage.events().iter().any(refused));
    stage.end().await;
}
