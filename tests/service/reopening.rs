//! The second leg of a reduction that may not be sent, or is not taken: told loudly, and never opened
//! later by itself.

use std::time::Duration;

use vigia::domain::execution::State;
use vigia::exchange::StopLoss;
use vigia::simulator::{Fault, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{
    CLOSE, DANGER, RUNNING, Stage, TRADE, Trader, adding, closing, long, reducing,
};

/// A stage on which the first leg was applied, and its answer is on its way for 800 ms.
async fn between_the_legs() -> (Stage, Trader, vigia::domain::ids::AutomationId) {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", reducing()).await;
    stage.mark();
    let slow = Fault::DelayReply { ms: 800 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(CLOSE).times(1)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::Closed, 1).await;
    (stage, alpha, guard)
}

/// From now on the exchange answers the second leg so.
fn second_leg(stage: &Stage, alpha: &Trader, fault: Fault) {
    let fault = fault.on_key(&alpha.key).on_route(TRADE).on_method("POST");
    stage.control.inject(fault).unwrap();
}

/// The alarm and the failure; then nothing more, also not after a restart and a calm reading.
async fn told_and_never_opened(mut stage: Stage, alpha: Trader) {
    stage.alarm(&alpha, "closed_not_reopened").await;
    assert_eq!(stage.failed(&alpha).await, "closed_not_reopened");
    let rows = stage.executions(&alpha).await;
    assert_eq!((rows.len(), rows[0].state), (1, State::Failed));
    assert!(
        rows[0]
            .evidence
            .as_ref()
            .is_some_and(|told| told["why"].is_string())
    );
    stage.stop().await;
    stage.control.clear_faults();
    stage.start_again().await;
    let (beta, _) = stage.guarded("beta", closing()).await;
    stage.mark();
    stage.control.set_price(DANGER - 7000.0).unwrap();
    stage.done(&beta).await;
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed],
        "never opened later"
    );
    assert_eq!(stage.executions(&alpha).await.len(), 1);
    stage.end().await;
}

#[actix::test]
async fn a_second_leg_that_is_refused_is_told_and_never_opened_later() {
    let (stage, alpha, _) = between_the_legs().await;
    second_leg(&stage, &alpha, Fault::status(400));
    told_and_never_opened(stage, alpha).await;
}

#[actix::test]
async fn after_a_move_of_more_than_half_a_percent_nothing_is_opened() {
    let (mut stage, alpha, _) = between_the_legs().await;
    stage.control.set_price(DANGER * 1.006).unwrap();
    stage.price_seen((DANGER * 1.006 * 2.0).round() / 2.0).await;
    told_and_never_opened(stage, alpha).await;
}

#[actix::test]
async fn a_second_leg_that_was_not_applied_is_not_sent_again() {
    let (stage, alpha, _) = between_the_legs().await;
    second_leg(&stage, &alpha, Fault::DropRequest);
    told_and_never_opened(stage, alpha).await;
}

#[actix::test]
async fn of_an_automation_that_was_disabled_between_the_legs_nothing_is_opened() {
    let (stage, alpha, guard) = between_the_legs().await;
    let (store, now) = (stage.app().shared.store.clone(), stage.clock.utc());
    store
        .set_automation_active(&guard, false, now)
        .await
        .unwrap();
    told_and_never_opened(stage, alpha).await;
}

/// The service stops while the exchange is unavailable for the second leg.
async fn stopped_between_the_legs() -> (Stage, Trader) {
    let (mut stage, alpha, _) = between_the_legs().await;
    second_leg(&stage, &alpha, Fault::status(503));
    let control = stage.control.clone();
    stage
        .until("the second leg is turned away", || {
            control.requests().by_status.contains_key(&503)
        })
        .await;
    stage.stop().await;
    stage.control.clear_faults();
    (stage, alpha)
}

#[actix::test]
async fn a_restart_between_the_legs_is_followed_by_one_reopening() {
    let (mut stage, alpha) = stopped_between_the_legs().await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    stage.start_again().await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    assert_eq!(stage.executions(&alpha).await.len(), 1);
    assert_eq!(stage.running(&alpha)[0].quantity, 5000);
    stage.end().await;
}

/// By the exchange's clock half a minute passes while the service is away.
#[actix::test]
async fn half_a_minute_later_nothing_is_opened() {
    let (mut stage, alpha) = stopped_between_the_legs().await;
    stage
        .control
        .inject(Fault::ClockSkew { offset_ms: 31_000 })
        .unwrap();
    stage.start_again().await;
    stage.mark();
    stage.stands(&alpha, State::Failed).await;
    let rows = stage.executions(&alpha).await;
    assert_eq!(rows[0].reason.as_deref(), Some("closed_not_reopened"));
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    stage.control.clear_faults();
    stage.end().await;
}

/// Nobody knows what became of the close; meanwhile the trade ends at its own stop-loss.
#[actix::test]
async fn what_its_own_stop_has_closed_is_not_opened_again() {
    let mut stage = Stage::set().await;
    let mut trade = long(10.0);
    trade.stoploss = vigia::domain::units::Price::from_usd(92_900.0).map(StopLoss::Fixed);
    let alpha = stage.trader_of("alpha", |config| config, trade).await;
    let guard = stage.guard(&alpha, reducing()).await;
    stage.armed(&guard).await;
    stage.mark();
    let lost = Fault::DropRequest.on_key(&alpha.key).on_route(CLOSE);
    stage.control.inject(lost.times(1)).unwrap();
    stage
        .control
        .inject(Fault::status(503).on_key(&alpha.key).on_route(RUNNING))
        .unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage
        .wait_until("the close is sent", |event| {
            matches!(event, Event::Sending { .. })
        })
        .await;
    let control = stage.control.clone();
    stage
        .until("it is lost", || {
            control
                .faults()
                .iter()
                .all(|fault| fault.fault != Fault::DropRequest)
        })
        .await;
    stage.control.set_price(92_900.0).unwrap();
    stage.applied(&alpha, LedgerKind::StoplossHit, 1).await;
    stage.control.clear_faults();
    assert_eq!(stage.failed(&alpha).await, "position_gone");
    assert!(stage.running(&alpha).is_empty());
    stage.end().await;
}

/// The reduction of one account keeps no other waiting.
#[actix::test]
async fn a_second_leg_that_waits_keeps_nobody_else_waiting() {
    let (mut stage, alpha, _) = between_the_legs().await;
    second_leg(&stage, &alpha, Fault::status(503));
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.control.set_price(DANGER * 0.93).unwrap();
    tokio::time::timeout(Duration::from_secs(5), stage.done(&beta))
        .await
        .unwrap();
    stage.control.clear_faults();
    assert_eq!(stage.failed(&alpha).await, "closed_not_reopened");
    stage.end().await;
}
