//! A trade that cannot be read is said to be, spoils no other, and is guarded by what was last
//! known of it.

use vigia::domain::ids::PositionId;
use vigia::simulator::{Fault, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{DANGER, RUNNING, Stage, Trader, adding, closing};
use crate::story::scaled;

/// Alpha has two positions under this guard, of which the first cannot be read from now on.
async fn half_readable(guard: serde_json::Value) -> (Stage, Trader, PositionId) {
    let mut stage = scaled().play().await;
    let alpha = stage.trader("alpha").await;
    let other = stage.open(&alpha.credentials, 10).await.id;
    let guard = stage.guard(&alpha, guard).await;
    for _ in 0..2 {
        stage.armed(&guard).await;
    }
    let account = stage.account(&alpha);
    let both = || account.view.load().rows.len() == 2;
    stage.until("both are known", both).await;
    stage.mark();
    let id = alpha.position.to_string();
    let garbled = Fault::UnreadableTrade { id };
    let garbled = garbled.on_key(&alpha.key).on_route(RUNNING);
    stage.control.inject(garbled).unwrap();
    let (of, wanted) = (alpha.id.clone(), alpha.position);
    stage
        .wait_until("the trade is named", move |event| {
            matches!(event, Event::TradeUnreadable { account, trade, problem }
                if account.id == of && *trade == Some(wanted) && problem.contains("sideways"))
        })
        .await;
    (stage, alpha, other)
}

/// How often it was told of a trade that cannot be read.
fn told(stage: &mut Stage) -> usize {
    let unreadable = |event: &&Event| matches!(event, Event::TradeUnreadable { .. });
    stage.events().iter().filter(unreadable).count()
}

async fn both_are_done(stage: &mut Stage) {
    let mut left = 2;
    let done = |event: &Event| {
        left -= i32::from(matches!(event, Event::Done { .. }));
        (left == 0).then_some(())
    };
    stage.wait_for("both executions are done", done).await;
}

#[actix::test]
async fn margin_is_added_to_both() {
    let (mut stage, alpha, _) = half_readable(adding()).await;
    let asked = stage.asked("GET", RUNNING);
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::MarginAdded, 2).await;
    both_are_done(&mut stage).await;
    let control = stage.control.clone();
    let read_on = || {
        control
            .requests()
            .of("GET /futures/isolated/trades/running")
            > asked + 2
    };
    stage.until("it is read on", read_on).await;
    assert_eq!(told(&mut stage), 1, "told once, not with each reading");
    assert_eq!(stage.effects(&alpha).len(), 2);
    stage.control.clear_faults();
    stage.end().await;
}

/// A close on a row of which nothing new can be read is not put off for ever.
#[actix::test]
async fn both_are_closed() {
    let (mut stage, alpha, _) = half_readable(closing()).await;
    // Older than a close acts upon.
    let (clock, until) = (
        stage.clock,
        stage.clock.mono() + vigia::domain::execution::CLOSE_ROW_AGE,
    );
    stage
        .until("the row grows old", || clock.mono() > until)
        .await;
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::Closed, 2).await;
    assert!(stage.running(&alpha).is_empty());
    both_are_done(&mut stage).await;
    stage.control.clear_faults();
    stage.end().await;
}
