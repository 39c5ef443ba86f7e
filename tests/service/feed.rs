//! The price: from the socket, from the ticker when the socket is gone, and no action at all on a
//! price that nothing confirms.

use vigia::domain::connection::Health;
use vigia::simulator::Fault;
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Stage, adding};

const TICKER: &str = "/v3/futures/ticker";
const REFUSED: Fault = Fault::RefuseUpgrades { status: 503 };

async fn feed_lost(stage: &mut Stage) {
    stage
        .wait_until(
            "the price feed loses its socket",
            |event| matches!(event, Event::SocketLost { actor, .. } if actor == "price_feed/sim"),
        )
        .await;
}

#[actix::test]
async fn the_ticker_takes_over_when_the_feed_loses_its_socket() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    stage.control.inject(REFUSED).unwrap();
    stage.control.drop_sockets(None);
    feed_lost(&mut stage).await;
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.control.open_sockets(), 0, "the fault still lasts");
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// The socket lives and answers pings, but prices stay away.
#[actix::test]
async fn the_ticker_takes_over_when_the_feeds_socket_is_deaf() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    stage.control.inject(Fault::SilenceData).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn with_both_sources_down_it_is_blind_and_acts_on_nothing_until_one_is_back() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage
        .live_over(&alpha, vigia::domain::connection::Transport::Websocket)
        .await;
    stage.mark();
    let down = Fault::status(503);
    stage.control.inject(down.on_route(TICKER)).unwrap();
    stage.control.inject(REFUSED).unwrap();
    stage.control.drop_sockets(None);
    let id = alpha.id.clone();
    stage
        .wait_until("the account is blind", |event| {
            matches!(event, Event::ConnectionState { account, to: Health::Blind, .. } if account.id == id)
        })
        .await;
    stage.control.set_price(DANGER).unwrap();
    let (control, asked) = (stage.control.clone(), stage.asked("GET", TICKER));
    stage
        .until("the ticker is asked three times more", || {
            control.requests().of("GET /futures/ticker") >= asked + 3
        })
        .await;
    assert_eq!(
        stage.fired(&guard),
        0,
        "it acted on a price that nothing confirms"
    );
    stage.control.clear_faults();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    let websocket = vigia::domain::connection::Transport::Websocket;
    stage.live_over(&alpha, websocket).await;
    stage.end().await;
}

/// A calm market is never blind: the ticker confirms the price that does not move.
#[actix::test]
async fn a_calm_market_is_not_blind() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage
        .live_over(&alpha, vigia::domain::connection::Transport::Websocket)
        .await;
    stage.mark();
    let (control, asked) = (stage.control.clone(), stage.asked("GET", TICKER));
    stage
        .until("seconds without a push pass", || {
            control.requests().of("GET /futures/ticker") >= asked + 5
        })
        .await;
    let blind = |event: &Event| matches!(event, Event::ConnectionState { .. });
    assert!(!stage.events().iter().any(blind));
    assert!((stage.control.price() - CALM).abs() < 0.01);
    stage.end().await;
}
