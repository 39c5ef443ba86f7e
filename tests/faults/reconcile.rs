//! What happens elsewhere and is not told is found by the next reading, corrected and logged.

use std::time::Duration;

use vigia::domain::book::EVENT_FOLLOWS;
use vigia::domain::connection::Transport::{self, Http, Websocket};
use vigia::domain::units::Price;
use vigia::exchange::StopLoss;
use vigia::simulator::{Fault, Injection, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{MARGIN, Stage, Trader, closing};
use crate::story::scaled;

const PERIOD_MS: i64 = 2000;
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1500);
const TRADES: &str = "futures/inverse/btc_usd/isolated/trades";

/// A guarded account far from its trigger, served over this transport.
async fn calm(transport: Transport) -> (Stage, Trader) {
    let mut stage = scaled()
        .with("connection.read_far_ms", PERIOD_MS)
        .play()
        .await;
    if transport == Http {
        let refused = Fault::RefuseUpgrades { status: 503 };
        stage.control.inject(refused).unwrap();
    }
    let (alpha, _) = stage.guarded("alpha", closing()).await;
    stage.live_over(&alpha, transport).await;
    stage.mark();
    (stage, alpha)
}

/// Waits for the difference and gives both values; it must come within a period and `more`.
async fn drift(
    stage: &mut Stage,
    trader: &Trader,
    wanted: &str,
    more: Duration,
) -> (String, String) {
    let began = stage.clock.mono();
    let values = stage.drift(trader, wanted).await;
    let took = stage.clock.mono() - began;
    let most = Duration::from_millis(PERIOD_MS.unsigned_abs()) + more;
    println!(
        "{wanted}: found after {} ms of {} ms",
        took.as_millis(),
        most.as_millis()
    );
    assert!(took <= most + SLACK, "found only after {took:?}");
    values
}

fn texts(had: impl ToString, has: impl ToString) -> (String, String) {
    (had.to_string(), has.to_string())
}

async fn margin_added(transport: Transport) {
    let (mut stage, alpha) = calm(transport).await;
    stage.add_by_hand(&alpha, alpha.position, MARGIN).await;
    let values = drift(&mut stage, &alpha, "margin", Duration::ZERO).await;
    assert_eq!(values, texts(MARGIN, 2 * MARGIN));
    assert_eq!(
        stage
            .view(&alpha)
            .row(alpha.position)
            .unwrap()
            .position
            .margin
            .0,
        2 * MARGIN
    );
    stage.end().await;
}

async fn stop_edited(transport: Transport) {
    let (mut stage, alpha) = calm(transport).await;
    let (stop, now) = (Price::from_usd(95_000.0).unwrap(), stage.rest.clock().now());
    stage.note(&alpha, LedgerKind::StoplossSet, None);
    let (who, id) = (&alpha.credentials, alpha.position);
    let set = stage.rest.set_stoploss(who, id, StopLoss::Fixed(stop), now);
    set.await.unwrap();
    let values = drift(&mut stage, &alpha, "stoploss", Duration::ZERO).await;
    assert_eq!(values, texts("none", stop));
    let row = stage.view(&alpha).row(alpha.position).cloned().unwrap();
    assert_eq!(row.position.stoploss, Some(stop));
    stage.end().await;
}

async fn takeprofit_edited(transport: Transport) {
    let (mut stage, alpha) = calm(transport).await;
    let (to, now) = (
        Price::from_usd(120_000.0).unwrap(),
        stage.rest.clock().now(),
    );
    stage.note(&alpha, LedgerKind::TakeprofitSet, None);
    let (who, id) = (&alpha.credentials, alpha.position);
    stage.rest.set_takeprofit(who, id, to, now).await.unwrap();
    let values = drift(&mut stage, &alpha, "takeprofit", Duration::ZERO).await;
    assert_eq!(values, texts("none", to));
    stage.end().await;
}

async fn trade_closed(transport: Transport) {
    let (mut stage, alpha) = calm(transport).await;
    let lost = Injection::from(Fault::DropEvents)
        .on_key(&alpha.key)
        .on_topic(TRADES);
    stage.control.inject(lost).unwrap();
    stage.close_by_hand(&alpha, alpha.position).await;
    let values = drift(&mut stage, &alpha, "running", EVENT_FOLLOWS).await;
    assert_eq!(values, texts(true, false));
    assert!(stage.view(&alpha).rows.is_empty());
    stage.end().await;
}

async fn trade_opened(transport: Transport) {
    let (mut stage, alpha) = calm(transport).await;
    let lost = Injection::from(Fault::DropEvents)
        .on_key(&alpha.key)
        .on_topic(TRADES);
    stage.control.inject(lost).unwrap();
    let opened = stage.open(&alpha.credentials, 10).await.id;
    let armed =
        |event: &Event| matches!(event, Event::Armed { position, .. } if *position == opened);
    stage.wait_until("it is guarded", armed).await;
    let values = drift(&mut stage, &alpha, "running", EVENT_FOLLOWS).await;
    assert_eq!(values, texts(false, true));
    stage.end().await;
}

macro_rules! found {
    ($($name:ident),+) => {
        mod over_the_socket {
            $(
                #[actix::test]
                async fn $name() {
                    super::$name(super::Websocket).await;
                }
            )+
        }
        mod over_http {
            $(
                #[actix::test]
                async fn $name() {
                    super::$name(super::Http).await;
                }
            )+
        }
    };
}

found!(
    margin_added,
    stop_edited,
    takeprofit_edited,
    trade_closed,
    trade_opened
);

/// Pongs come, events do not: the first reading that shows more than was told replaces the socket.
#[actix::test]
async fn a_deaf_socket_is_replaced() {
    let (mut stage, alpha) = calm(Websocket).await;
    let deaf = Fault::SilenceData.on_key(&alpha.key);
    stage.control.inject(deaf).unwrap();
    stage.close_by_hand(&alpha, alpha.position).await;
    drift(&mut stage, &alpha, "running", EVENT_FOLLOWS).await;
    assert_eq!(stage.switched(&alpha, Http).await.0, "silent");
    stage.control.clear_faults();
    assert_eq!(stage.switched(&alpha, Websocket).await.0, "synced");
    stage.end().await;
}

/// A difference that the stream has announced is none: the socket stays.
#[actix::test]
async fn what_was_announced_is_no_drift() {
    let (mut stage, alpha) = calm(Websocket).await;
    stage.close_by_hand(&alpha, alpha.position).await;
    let account = stage.account(&alpha);
    stage
        .until("it is gone", || account.view.load().rows.is_empty())
        .await;
    let read_at = account.view.load().read_at;
    let later = EVENT_FOLLOWS + Duration::from_millis(PERIOD_MS.unsigned_abs());
    let read = || account.view.load().read_at > read_at.map(|at| at + later);
    stage.until("it was read long after", read).await;
    let noticed = |event: &&Event| {
        matches!(
            event,
            Event::BookDrift { .. } | Event::TransportSwitched { .. }
        )
    };
    let events: Vec<_> = stage.events().iter().filter(noticed).cloned().collect();
    assert!(events.is_empty(), "{events:?}");
    stage.end().await;
}
