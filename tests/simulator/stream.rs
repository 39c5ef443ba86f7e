//! The stream: methods, sessions, events.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use vigia::simulator::{AccountConfig, Cadence, LedgerKind, Speed, Tape};

use crate::client::{KEY, PHRASE, SECRET, exchange, exchange_with, now_ms};
use crate::socket::{Ended, LAST, TRADES, login};

use futures_util::SinkExt;

fn code(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    (
        error["code"].as_i64().unwrap(),
        error["data"]["code"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn methods_answer_in_their_envelope() {
    let x = exchange().await;
    let mut socket = x.connect().await;
    let hello = json!({ "clientName": "test", "clientVersion": "1" });
    assert_eq!(
        socket.call("hello", hello).await["result"]["version"],
        "1.0.0"
    );
    let pong = socket.call("ping", Value::Null).await;
    assert_eq!(
        (&pong["result"], &pong["jsonrpc"]),
        (&json!("pong"), &json!("2.0"))
    );
    let span = pong["usOut"].as_u64().unwrap() - pong["usIn"].as_u64().unwrap();
    assert_eq!(pong["usDiff"], json!(span));
    assert_eq!(pong["rateLimit"]["limit"], json!(10));
    let time = socket.call("time", Value::Null).await["result"]["time"]
        .as_i64()
        .unwrap();
    assert!((time - now_ms()).abs() < 1000);
    assert_eq!(
        code(&socket.call("whoami", Value::Null).await),
        (-32401, "UNAUTHORIZED")
    );
    socket.log_in("nonce-0001").await;
    assert_eq!(
        socket.call("whoami", Value::Null).await["result"]["apiKey"],
        KEY
    );
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let x = exchange().await;
    let mut socket = x.connect().await;
    for (text, expected) in [
        ("{", (-32700, "PARSE_ERROR")),
        ("[]", (-32600, "INVALID_REQUEST")),
        (
            r#"{"jsonrpc":"2.0","method":"ping"}"#,
            (-32600, "INVALID_REQUEST"),
        ),
        (r#"{"id":1,"method":"ping"}"#, (-32600, "INVALID_REQUEST")),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"dance"}"#,
            (-32601, "METHOD_NOT_FOUND"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"subscribe"}"#,
            (-32602, "INVALID_PARAMS"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["lastPrice"]}}"#,
            (-32602, "BAD_REQUEST"),
        ),
    ] {
        socket.send(text).await;
        assert_eq!(code(&socket.frame().await), expected, "{text}");
    }
    socket
        .send(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#)
        .await;
    assert_eq!(
        socket.frame().await["id"],
        json!(7),
        "ids are echoed unchanged"
    );
}

#[tokio::test]
async fn sessions_nonces_and_times() {
    let x = exchange().await;
    let mut socket = x.connect().await;
    let first = login(KEY, now_ms(), "nonce-0001");
    let answer = socket.call("authenticate", first.clone()).await;
    assert_eq!(answer["result"]["authenticated"], true);
    assert_eq!(answer["result"]["permissions"].as_array().unwrap().len(), 5);
    let mut other = x.connect().await;
    assert_eq!(
        code(&other.call("authenticate", first).await),
        (-32401, "UNAUTHORIZED")
    );
    for bad in [
        login(KEY, now_ms() - 11_000, "nonce-0002"),
        login(KEY, now_ms() + 11_000, "nonce-0003"),
        login("unknown", now_ms(), "nonce-0004"),
    ] {
        assert_eq!(
            code(&other.call("authenticate", bad).await),
            (-32401, "UNAUTHORIZED")
        );
    }
    let short = login(KEY, now_ms(), "short");
    assert_eq!(
        code(&other.call("authenticate", short).await),
        (-32602, "INVALID_PARAMS")
    );
    let topics = json!({ "topics": [LAST, TRADES] });
    let refused = other.call("subscribe", topics.clone()).await;
    assert_eq!(
        code(&refused),
        (-32401, "UNAUTHORIZED"),
        "sessions belong to their socket"
    );
    assert_eq!(
        x.control.sockets()[1].topics,
        Vec::<String>::new(),
        "nothing was subscribed"
    );
    assert_eq!(
        socket.call("subscribe", topics).await["result"]["subscribed"],
        json!([LAST, TRADES])
    );
    let gone = socket
        .call("unsubscribe", json!({ "topics": [LAST] }))
        .await;
    assert_eq!(gone["result"]["unsubscribed"], json!([LAST]));
    let gone = socket.call("unsubscribeAll", Value::Null).await;
    assert_eq!(gone["result"]["unsubscribed"], json!([TRADES]));
}

#[tokio::test]
async fn a_topic_needs_its_scope() {
    let account = AccountConfig::new(KEY, SECRET, PHRASE, 1).with_permissions(&["account:read"]);
    let x = exchange_with(|config| config.accounts = vec![account]).await;
    let mut socket = x.connect().await;
    socket.log_in("nonce-0001").await;
    let answer = socket
        .call("subscribe", json!({ "topics": [TRADES] }))
        .await;
    assert_eq!(code(&answer), (-32403, "FORBIDDEN"));
}

#[tokio::test]
async fn a_trade_is_followed_from_fill_to_stop() {
    let x = exchange().await;
    let mut socket = x.follow(&[TRADES, LAST]).await;
    let trade = x.buy().await;
    let (event, body) = socket.event().await;
    assert_eq!((event.as_str(), &body["id"]), ("filled", &trade["id"]));
    assert_eq!(body["openingFee"], json!(1000));
    let stop = json!({ "id": trade["id"], "value": 95_000 });
    x.put("/futures/isolated/trade/stoploss", stop).await.ok();
    x.control.settle_funding(0.0001, 100_500.0).unwrap();
    let (event, body) = socket.event().await;
    assert_eq!(
        (event.as_str(), &body["liquidationPrice"]),
        ("funding", &json!(90_917.5))
    );
    x.control.set_price(94_000.0).unwrap();
    assert_eq!(socket.push(LAST).await["lastPrice"], json!(94_000));
    let (event, body) = socket.event().await;
    assert_eq!(
        (event.as_str(), &body["exitPrice"]),
        ("stoploss", &json!(95_000))
    );
    assert_eq!(body["pl"], json!(-52_632));
}

#[tokio::test]
async fn a_take_profit_and_a_liquidation_are_told() {
    let x = exchange().await;
    let mut socket = x.follow(&[TRADES]).await;
    let trade = x.buy().await;
    let target = json!({ "id": trade["id"], "value": 110_000 });
    x.put("/futures/isolated/trade/takeprofit", target)
        .await
        .ok();
    x.control.set_price(110_000.0).unwrap();
    assert_eq!(socket.event().await.0, "filled");
    let (event, body) = socket.event().await;
    assert_eq!(
        (event.as_str(), body["pl"].as_i64()),
        ("takeprofit", Some(90_909))
    );

    x.control.set_price(100_000.0).unwrap();
    x.buy().await;
    x.control.set_price(90_909.0).unwrap();
    assert_eq!(socket.event().await.0, "filled");
    let (event, body) = socket.event().await;
    assert_eq!(
        (event.as_str(), body["closingFee"].as_i64()),
        ("liquidation", Some(1100))
    );
    assert_eq!(body.get("pl"), None, "the exchange does not tell it");
    assert_eq!(x.ledger().last(), Some(&LedgerKind::Liquidated));
}

#[tokio::test]
async fn events_reach_only_their_owner() {
    let other = AccountConfig::new("key-2", SECRET, PHRASE, 500_000);
    let x = exchange_with(|config| config.accounts.push(other)).await;
    let mut mine = x.follow(&[TRADES]).await;
    let mut theirs = x.connect().await;
    theirs
        .call("authenticate", login("key-2", now_ms(), "nonce-0002"))
        .await;
    theirs
        .call("subscribe", json!({ "topics": [TRADES] }))
        .await;
    x.buy().await;
    assert_eq!(mine.event().await.0, "filled");
    let body = json!({ "type": "market", "side": "sell", "quantity": 10, "leverage": 1 });
    let path = "/futures/isolated/trade";
    x.send_as("key-2", SECRET, now_ms(), "POST", path, Some(body))
        .await
        .unwrap()
        .ok();
    assert_eq!(
        theirs.event().await.1["side"],
        "sell",
        "the first event they hear is their own"
    );
}

#[tokio::test]
async fn a_tape_is_heard_tick_by_tick_in_order() {
    let tape = Tape::falling(5);
    let x = exchange_with(|config| {
        config.tape = tape;
        config.speed = Speed::Max;
        config.cadence = Cadence::EveryTick;
        config.start_paused = true;
    })
    .await;
    let mut socket = x.follow(&[LAST]).await;
    assert_eq!(x.control.ticks(), 0, "paused");
    x.control.start_tape();
    let mut prices = Vec::new();
    for _ in 0..300 {
        prices.push(socket.push(LAST).await["lastPrice"].as_f64().unwrap());
    }
    x.control.pause_tape();
    assert_eq!(prices[0], 100_000.0);
    // Each candle of four opens where the one before closed.
    assert!(
        prices
            .chunks(4)
            .zip(prices.chunks(4).skip(1))
            .all(|(a, b)| a[3] == b[0])
    );
}

#[tokio::test]
async fn a_message_that_is_too_big_closes_with_1009() {
    let x = exchange().await;
    let mut socket = x.connect().await;
    // The server may close before all of it is written.
    let _ = socket
        .ws
        .send(Message::text("x".repeat((16 << 10) + 1)))
        .await;
    assert_eq!(socket.ended().await, Ended::Code(1009));
}

#[tokio::test]
async fn an_idle_socket_is_dropped_without_a_close_frame() {
    let x = exchange_with(|config| config.protocol.idle = Duration::from_millis(100)).await;
    let mut socket = x.connect().await;
    assert_eq!(socket.ended().await, Ended::Abruptly);
    let x = exchange_with(|config| {
        config.protocol.idle = Duration::from_millis(400);
        config.protocol.ping = Duration::from_millis(50);
    })
    .await;
    let mut socket = x.connect().await;
    for _ in 0..20 {
        // Reading answers the pings.
        assert!(
            socket
                .is_silent_but_for_pings(Duration::from_millis(50))
                .await
        );
    }
    assert_eq!(socket.call("ping", Value::Null).await["result"], "pong");
}
