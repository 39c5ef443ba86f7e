//! One account's way to the exchange: first over HTTP, then over its socket, and back at once when
//! the socket fails, is silent or deaf.

use std::time::Duration;

use vigia::domain::connection::Transport::{Http, Websocket};
use vigia::simulator::Fault;
use vigia::telemetry::Event;

use crate::harness::{DANGER, MARGIN, Script, Stage, adding, closing};

const REFUSED: Fault = Fault::RefuseUpgrades { status: 503 };

#[actix::test]
async fn an_account_is_served_over_http_first_and_goes_on_over_its_socket() {
    let mut stage = Stage::set().await;
    stage.control.inject(REFUSED).unwrap();
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Http).await;
    stage.mark();
    stage.control.clear_faults();
    let (cause, gap_ms) = stage.switched(&alpha, Websocket).await;
    assert_eq!((cause, gap_ms), ("synced", 0), "no data was missed");
    stage.end().await;
}

#[actix::test]
async fn http_takes_over_when_the_socket_is_lost_and_hands_back() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    stage.control.inject(REFUSED).unwrap();
    assert_eq!(stage.control.drop_sockets(Some(&alpha.key)), 1);
    let (cause, gap_ms) = stage.switched(&alpha, Http).await;
    assert_eq!(cause, "closed");
    assert!(gap_ms < 1000, "{gap_ms} ms without data");
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.view(&alpha).transport, Http, "the fault still lasts");
    stage.control.clear_faults();
    let (cause, gap_ms) = stage.switched(&alpha, Websocket).await;
    assert_eq!((cause, gap_ms), ("synced", 0));
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// Also after a polite close: reconnects are unlimited.
#[actix::test]
async fn a_socket_comes_back_however_it_was_closed() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    for code in [1000, 1001, 1011, 1012] {
        stage.live_over(&alpha, Websocket).await;
        stage.mark();
        let fault = Fault::CloseSockets { code }.on_key(&alpha.key);
        stage.control.inject(fault).unwrap();
        assert_eq!(stage.switched(&alpha, Http).await.0, "closed");
    }
    stage.live_over(&alpha, Websocket).await;
    stage.end().await;
}

#[actix::test]
async fn a_socket_that_leaves_pings_unanswered_is_replaced() {
    let pings = Script::new()
        .with("connection.ping_period_ms", 300)
        .with("connection.ping_deadline_ms", 700);
    let mut stage = pings.play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    let silence = Fault::SilenceSockets.on_key(&alpha.key);
    stage.control.inject(silence).unwrap();
    assert_eq!(stage.switched(&alpha, Http).await.0, "silent");
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    stage.control.clear_faults();
    stage.switched(&alpha, Websocket).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// Pongs come, events do not: only a reading shows that the trade is gone.
#[actix::test]
async fn a_trade_closed_elsewhere_while_the_socket_is_deaf_is_found_and_the_socket_replaced() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    let deaf = Fault::SilenceData.on_key(&alpha.key);
    stage.control.inject(deaf).unwrap();
    stage.close_by_hand(&alpha, alpha.position).await;
    let values = stage.drift(&alpha, "running").await;
    assert_eq!(values, ("true".to_owned(), "false".to_owned()));
    assert_eq!(stage.switched(&alpha, Http).await.0, "silent");
    stage.control.clear_faults();
    stage.switched(&alpha, Websocket).await;
    assert!(stage.view(&alpha).rows.is_empty());
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    assert_eq!(stage.fired(&guard), 0, "there is nothing to guard");
    stage.end().await;
}

/// The stream does not tell of margin at all.
#[actix::test]
async fn margin_added_elsewhere_is_found_and_is_no_fault_of_the_socket() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    stage.add_by_hand(&alpha, alpha.position, MARGIN).await;
    let values = stage.drift(&alpha, "margin").await;
    assert_eq!(values, (MARGIN.to_string(), (2 * MARGIN).to_string()));
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.fired(&guard), 0, "with the owner's margin it is safe");
    assert_eq!(stage.view(&alpha).transport, Websocket);
    stage.end().await;
}

/// A position opened elsewhere is announced by the stream and guarded at once.
#[actix::test]
async fn a_position_opened_elsewhere_is_guarded_within_a_moment() {
    let far = Script::new().with("connection.read_far_ms", 30_000);
    let mut stage = far.play().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    let opened = stage.open(&alpha.credentials, 10).await;
    let wanted = guard.clone();
    let armed = stage.wait_for("the new position is guarded", |event| match event {
        Event::Armed {
            automation,
            position,
            ..
        } if *automation == wanted => Some(*position),
        _ => None,
    });
    assert_eq!(armed.await, opened.id);
    stage.end().await;
}

/// The exchange's own limits: every socket lost at once comes back, and no request is refused.
#[actix::test]
async fn after_a_restart_of_the_exchange_all_accounts_are_back_within_its_limits() {
    let mut stage = Script::new().real_limits().play().await;
    let mut traders = vec![];
    for name in ["alpha", "beta", "gamma"] {
        traders.push(stage.guarded(name, adding()).await.0);
    }
    for trader in &traders {
        stage.live_over(trader, Websocket).await;
    }
    stage.mark();
    stage.control.restart(Duration::from_millis(1500));
    for trader in &traders {
        stage.switched(trader, Http).await;
        stage.switched(trader, Websocket).await;
    }
    stage.control.set_price(DANGER).unwrap();
    for trader in &traders {
        stage.done(trader).await;
        assert_eq!(stage.effects(trader).len(), 1);
    }
    assert_eq!(
        stage.control.requests().too_many(),
        0,
        "limits were overrun"
    );
    stage.end().await;
}
