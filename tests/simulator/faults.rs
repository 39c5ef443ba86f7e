//! What goes wrong on purpose, and what was applied nevertheless.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::simulator::{Cadence, Fault, LedgerKind};

use crate::client::{KEY, exchange, exchange_with};
use crate::socket::{Ended, LAST, TRADES};

const ADD: &str = "/futures/isolated/trade/add-margin";

#[tokio::test]
async fn a_lost_reply_leaves_exactly_one_entry() {
    let x = exchange().await;
    let trade = x.buy().await;
    let lose = Fault::LoseReply
        .on_key(KEY)
        .on_route("/v3/futures/isolated/trade/add-margin");
    x.control.inject(lose.times(1)).unwrap();
    let body = json!({ "id": trade["id"], "amount": 1000 });
    assert!(x.send("POST", ADD, Some(body.clone())).await.is_err());
    assert_eq!(x.ledger(), [LedgerKind::Filled, LedgerKind::MarginAdded]);
    assert_eq!(x.balance(), 396_900);
    assert_eq!(x.post(ADD, body).await.status, 200, "once only");
}

#[tokio::test]
async fn a_dropped_request_leaves_none() {
    let x = exchange().await;
    let trade = x.buy().await;
    x.control.inject(Fault::DropRequest.times(1)).unwrap();
    let body = json!({ "id": trade["id"], "amount": 1000 });
    assert!(x.send("POST", ADD, Some(body)).await.is_err());
    assert_eq!(x.ledger(), [LedgerKind::Filled]);
}

#[tokio::test]
async fn a_hanging_request_is_applied_or_not_as_told() {
    let x = exchange().await;
    let trade = x.buy().await;
    let body = json!({ "id": trade["id"], "amount": 1000 });
    for (apply, entries) in [(false, 1), (true, 2)] {
        x.control.inject(Fault::Hang { apply }.times(1)).unwrap();
        let send = x.send("POST", ADD, Some(body.clone()));
        assert!(
            tokio::time::timeout(Duration::from_millis(200), send)
                .await
                .is_err()
        );
        assert_eq!(x.control.ledger_len(), entries);
    }
}

#[tokio::test]
async fn a_late_request_is_applied_after_the_client_has_gone() {
    let x = exchange().await;
    let trade = x.buy().await;
    x.control
        .inject(Fault::DelayRequest { ms: 200 }.times(1))
        .unwrap();
    let body = json!({ "id": trade["id"], "amount": 1000 });
    let send = x.send("POST", ADD, Some(body));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), send)
            .await
            .is_err()
    );
    assert_eq!(x.control.ledger_len(), 1);
    x.until(|x| x.control.ledger_len() == 2).await;
}

#[tokio::test]
async fn injected_statuses_are_answered_and_nothing_is_applied() {
    let x = exchange().await;
    let status = |status, retry_after, plain| Fault::Status {
        status,
        code: None,
        retry_after,
        plain,
    };
    for (fault, expected, code) in [
        (status(500, None, false), 500, "INTERNAL_SERVER_ERROR"),
        (status(503, None, false), 503, "SERVICE_UNAVAILABLE"),
        (status(429, Some(2.0), false), 429, "TOO_MANY_REQUESTS"),
    ] {
        x.control.inject(fault.times(1)).unwrap();
        let body = json!({ "type": "market", "side": "buy", "quantity": 1, "leverage": 1 });
        let answer = x.post("/futures/isolated/trade", body).await;
        assert_eq!(answer.code(), (expected, code.to_owned()));
        assert_eq!(answer.headers.contains_key("retry-after"), expected == 429);
    }
    x.control.inject(status(404, None, true).times(1)).unwrap();
    assert_eq!(x.get("/account").await.text, "Not found");
    assert_eq!(x.control.ledger_len(), 0);
}

#[tokio::test]
async fn broken_bodies() {
    let x = exchange().await;
    x.control.inject(Fault::TruncateBody.times(1)).unwrap();
    assert!(x.send("GET", "/account", None).await.is_err());
    x.control.inject(Fault::MalformedBody.times(1)).unwrap();
    let answer = x.get("/account").await;
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
}

#[tokio::test]
async fn dropped_sockets_end_without_a_close_frame_and_closed_ones_with_it() {
    let x = exchange().await;
    let mut anonymous = x.connect().await;
    let mut mine = x.follow(&[TRADES]).await;
    assert_eq!(x.control.drop_sockets(Some(KEY)), 1);
    assert_eq!(mine.ended().await, Ended::Abruptly);
    assert_eq!(anonymous.call("ping", Value::Null).await["result"], "pong");
    x.control
        .inject(Fault::CloseSockets { code: 1000 })
        .unwrap();
    assert_eq!(anonymous.ended().await, Ended::Code(1000));
}

#[tokio::test]
async fn silenced_sockets_say_nothing_and_read_on() {
    let x = exchange().await;
    let mut socket = x.follow(&[LAST]).await;
    x.control.inject(Fault::SilenceSockets).unwrap();
    x.control.set_price(99_000.0).unwrap();
    socket
        .send(r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#)
        .await;
    assert!(socket.is_silent(Duration::from_millis(300)).await);
    x.control.clear_faults();
    assert_eq!(
        socket.call("ping", Value::Null).await["result"],
        "pong",
        "only the past is lost"
    );
}

#[tokio::test]
async fn silenced_data_leaves_answers_alone() {
    let x = exchange().await;
    let mut socket = x.follow(&[LAST, TRADES]).await;
    x.control
        .inject(Fault::SilenceData.on_key(KEY).on_topic(LAST))
        .unwrap();
    x.control.set_price(99_000.0).unwrap();
    assert_eq!(socket.call("ping", Value::Null).await["result"], "pong");
    x.buy().await;
    let frame = socket.frame().await;
    assert_eq!(
        frame["params"]["topic"], TRADES,
        "the price before it was not pushed"
    );
}

#[tokio::test]
async fn pushes_are_lost_doubled_swapped_and_torn() {
    let x = exchange_with(|config| config.cadence = Cadence::EveryTick).await;
    let mut socket = x.follow(&[LAST]).await;
    let print = |price: f64| x.control.set_price(price).unwrap();
    x.control.inject(Fault::DropEvents.times(1)).unwrap();
    print(1000.0);
    x.control.inject(Fault::DuplicateEvents.times(1)).unwrap();
    print(1001.0);
    x.control.inject(Fault::ReorderEvents.times(1)).unwrap();
    print(1002.0);
    print(1003.0);
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(socket.push(LAST).await["lastPrice"].as_i64().unwrap());
    }
    assert_eq!(heard, [1001, 1001, 1003, 1002]);
    x.control.inject(Fault::MalformedEvents.times(1)).unwrap();
    print(1004.0);
    assert!(serde_json::from_str::<Value>(&socket.text().await).is_err());
    print(1005.0);
    assert_eq!(socket.push(LAST).await["lastPrice"], json!(1005));
}

#[tokio::test]
async fn delayed_frames_and_partial_subscriptions() {
    let x = exchange().await;
    let mut socket = x.connect().await;
    x.control
        .inject(Fault::DelayFrames { ms: 150 }.times(1))
        .unwrap();
    socket
        .send(r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#)
        .await;
    assert!(socket.is_silent(Duration::from_millis(100)).await);
    assert_eq!(socket.frame().await["id"], "s");
    x.control.inject(Fault::PartialSubscribe.times(1)).unwrap();
    let both = json!({ "topics": [LAST, "announcements"] });
    assert_eq!(
        socket.call("subscribe", both).await["result"]["subscribed"],
        json!([LAST])
    );
}

#[tokio::test]
async fn a_restart_loses_sessions_and_keeps_trades() {
    let x = exchange().await;
    let trade = x.buy().await;
    let mut socket = x.follow(&[TRADES]).await;
    x.control.restart(Duration::from_millis(300));
    assert_eq!(socket.ended().await, Ended::Code(1012));
    assert_eq!(
        x.get("/account").await.code(),
        (503, "SERVICE_UNAVAILABLE".to_owned())
    );
    assert!(
        x.try_connect()
            .await
            .err()
            .unwrap()
            .to_string()
            .contains("503")
    );
    while x.get("/account").await.status == 503 {}
    let running = x.get("/futures/isolated/trades/running").await.ok();
    assert_eq!(running[0]["id"], trade["id"]);
    let mut socket = x.connect().await;
    let refused = socket
        .call("subscribe", json!({ "topics": [TRADES] }))
        .await;
    assert_eq!(refused["error"]["code"], json!(-32401));
}

#[tokio::test]
async fn a_closed_port_refuses_and_opens_again() {
    let x = exchange().await;
    let fault = Fault::RefuseConnections.lasting(Duration::from_millis(300));
    x.control.inject(fault).unwrap();
    let opens = async || {
        let connected = tokio::net::TcpStream::connect(x.simulator.addr()).await;
        connected.is_ok()
    };
    let closed_and_open_again = async {
        // The listener is closed by its own task, at once but not within this call.
        while opens().await {
            tokio::task::yield_now().await;
        }
        while !opens().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed_and_open_again)
        .await
        .expect("in time");
    assert_eq!(x.get("/account").await.status, 200);
}

#[tokio::test]
async fn skews_blocks_and_unavailability() {
    let x = exchange().await;
    x.control
        .inject(Fault::ClockSkew { offset_ms: 60_000 })
        .unwrap();
    let answer = x.get("/account").await;
    assert_eq!(answer.status, 401);
    let time = x.plain("GET", "/v3/time", None).await;
    let date = time.headers["date"].to_str().unwrap();
    assert_eq!(date.len(), "Mon, 26 Oct 2026 16:30:43 GMT".len());
    x.control.clear_faults();
    x.control.inject(Fault::GeoBlock).unwrap();
    assert_eq!(x.get("/account").await.status, 403);
    assert_eq!(x.plain("GET", "/v3/ping", None).await.status, 200);
    x.control.clear_faults();
    x.control
        .engine_unavailable(Duration::from_secs(60))
        .unwrap();
    assert_eq!(x.get("/account").await.status, 503);
    x.control.clear_faults();
    x.control.inject(Fault::RevokedKey.on_key(KEY)).unwrap();
    assert_eq!(x.get("/account").await.status, 401);
    x.control.clear_faults();
    assert_eq!(x.get("/account").await.status, 200);
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_disconnected() {
    let x = exchange_with(|config| config.cadence = Cadence::EveryTick).await;
    let mut socket = x.follow(&[LAST]).await;
    // Never reads: the kernel's buffers fill, then the queue, then the socket is ended.
    let mut price = 50_000.0;
    while x.control.open_sockets() == 1 {
        price += 0.5;
        x.control.set_price(price).unwrap();
        tokio::task::yield_now().await;
    }
    // What had left is still delivered, then the end is seen.
    assert!(matches!(
        socket.ended().await,
        Ended::Abruptly | Ended::Code(1013)
    ));
}
