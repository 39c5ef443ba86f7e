//! Rate and socket limits, as the exchange has them.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::simulator::{Limit, Limits};

use crate::client::{exchange_with, now_ms};
use crate::socket::{Ended, login};

#[tokio::test]
async fn the_sixth_request_in_a_second_is_one_too_many() {
    let x = exchange_with(|config| {
        // A longer window, so that a slow machine cannot end it in between.
        config.limits.rest_per_key = Some(Limit {
            count: 5,
            window: Duration::from_secs(10),
        });
    })
    .await;
    for _ in 0..5 {
        assert_eq!(x.get("/account").await.status, 200);
    }
    let answer = x.get("/account").await;
    assert_eq!(answer.code(), (429, "TOO_MANY_REQUESTS".to_owned()));
    let wait: u32 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=10).contains(&wait));
    assert_eq!(x.control.requests().too_many(), 1);
    assert_eq!(x.control.requests().of("GET /account"), 6);
    let bad = x
        .send_as("key-1", "wrong", 0, "GET", "/account", None)
        .await
        .unwrap();
    assert_eq!(bad.status, 429, "the limit is checked before the signature");
}

#[tokio::test]
async fn public_requests_have_their_own_limit() {
    let x = exchange_with(|config| config.limits = Limits::exchange()).await;
    let statuses = [
        x.plain("GET", "/v3/ping", None).await.status,
        x.plain("GET", "/v3/time", None).await.status,
    ];
    assert_eq!(statuses, [200, 429]);
    assert_eq!(x.get("/account").await.status, 200);
}

#[tokio::test]
async fn the_thirty_third_socket_is_closed() {
    let x = exchange_with(|config| config.limits = Limits::exchange()).await;
    let mut sockets = Vec::new();
    for _ in 0..32 {
        let mut socket = x.connect().await;
        socket.call("ping", Value::Null).await;
        sockets.push(socket);
    }
    assert_eq!(x.connect().await.ended().await, Ended::Code(1008));
    assert_eq!(x.control.open_sockets(), 32);
    drop(sockets.pop());
    // The server notices the hang-up by itself; a new one is let in as soon as it has.
    loop {
        let mut socket = x.connect().await;
        socket
            .send(r#"{"jsonrpc":"2.0","id":"1","method":"ping"}"#)
            .await;
        match socket.ended_or_answered().await {
            None => break,
            Some(ended) => assert_eq!(ended, Ended::Code(1008)),
        }
    }
}

#[tokio::test]
async fn new_sockets_are_counted_by_the_hour() {
    let x = exchange_with(|config| config.limits.new_sockets_per_ip = Limit::per_seconds(2, 3600))
        .await;
    let _first = x.connect().await;
    let _second = x.connect().await;
    let error = x.try_connect().await.err().unwrap().to_string();
    assert!(error.contains("429"), "{error}");
}

#[tokio::test]
async fn the_twenty_first_login_is_throttled() {
    let x =
        exchange_with(|config| config.limits.authentications_per_ip = Limit::per_seconds(20, 60))
            .await;
    let mut socket = x.connect().await;
    for number in 0..20 {
        let answer = socket
            .call(
                "authenticate",
                login("key-1", now_ms(), &format!("nonce-{number:04}")),
            )
            .await;
        assert_eq!(answer["result"]["authenticated"], true, "{answer}");
    }
    let answer = socket.log_in("nonce-9999").await;
    let data = &answer["error"]["data"];
    assert_eq!(
        (answer["error"]["code"].as_i64(), &data["code"]),
        (Some(-32429), &json!("TOO_MANY_REQUESTS"))
    );
    assert_eq!(
        (&data["data"]["limit"], &data["data"]["windowMs"]),
        (&json!(20), &json!(60_000))
    );
    assert!((1..=60_000).contains(&data["data"]["retryAfterMs"].as_i64().unwrap()));
}

#[tokio::test]
async fn the_eleventh_message_is_one_too_many() {
    let x = exchange_with(|config| {
        config.limits.messages_per_socket = Some(Limit {
            count: 10,
            window: Duration::from_secs(10),
        });
    })
    .await;
    let mut socket = x.connect().await;
    for left in (0..10).rev() {
        let answer = socket.call("ping", Value::Null).await;
        assert_eq!(
            answer["rateLimit"],
            json!({ "remaining": left, "limit": 10 })
        );
    }
    let answer = socket.call("ping", Value::Null).await;
    assert_eq!(answer["error"]["code"], json!(-32429));
    assert_eq!(answer["rateLimit"]["remaining"], json!(0));
}
