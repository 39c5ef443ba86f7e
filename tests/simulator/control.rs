//! The control interface over HTTP.

use serde_json::json;

use crate::client::{KEY, exchange, exchange_with};

#[tokio::test]
async fn prices_faults_accounts_and_the_ledger() {
    let x = exchange().await;
    x.plain("POST", "/_control/price", Some(json!({ "price": 95_000 })))
        .await
        .ok();
    assert_eq!(x.control.price(), 95_000.0);
    let fault = json!({ "fault": { "kind": "status", "status": 502 }, "key": KEY, "count": 1 });
    x.plain("POST", "/_control/fault", Some(fault.clone()))
        .await
        .ok();
    assert_eq!(x.get("/account").await.status, 502);
    assert_eq!(x.get("/account").await.status, 200);
    x.plain("POST", "/_control/fault", Some(fault)).await.ok();
    x.plain("DELETE", "/_control/faults", None).await.ok();
    assert_eq!(x.get("/account").await.status, 200);
    let account = json!({ "key": "k2", "secret": "s", "passphrase": "p", "balance_sats": 7 });
    x.plain("POST", "/_control/account", Some(account))
        .await
        .ok();
    assert_eq!(
        x.plain("GET", "/_control/account/k2", None).await.ok()["balance"],
        json!(7)
    );
    x.buy().await;
    let ledger = x.plain("GET", "/_control/ledger", None).await.ok();
    assert_eq!(
        (&ledger[0]["kind"], &ledger[0]["source"]),
        (&json!("filled"), &json!("api"))
    );
    let _socket = x.connect().await;
    x.until(|x| x.control.open_sockets() == 1).await;
    let state = x.plain("GET", "/_control/state", None).await.ok();
    assert_eq!(
        (&state["price"], &state["ledger_entries"]),
        (&json!(95_000.0), &json!(1))
    );
    assert_eq!(state["requests"]["POST /futures/isolated/trade"], json!(1));
    let dropped = x.plain("POST", "/_control/drop-sockets", None).await.ok();
    assert_eq!(dropped["dropped"], json!(1));
}

#[tokio::test]
async fn the_tape_is_started_and_paused() {
    let x = exchange_with(|config| {
        config.tape = vigia::simulator::Tape::endless_walk(1);
        config.speed = vigia::simulator::Speed::Max;
        config.start_paused = true;
    })
    .await;
    x.plain("POST", "/_control/tape", Some(json!({ "action": "start" })))
        .await
        .ok();
    x.until(|x| x.control.ticks() > 10).await;
    x.plain("POST", "/_control/tape", Some(json!({ "action": "pause" })))
        .await
        .ok();
    let state = x.plain("GET", "/_control/state", None).await.ok();
    assert_eq!(
        state["tape"],
        json!({ "running": false, "finished": false })
    );
}

#[tokio::test]
async fn bad_bodies_name_what_is_wrong() {
    let x = exchange().await;
    for (path, body, named) in [
        ("price", json!({ "price": "high" }), "price"),
        ("price", json!({ "price": -1 }), "price"),
        ("tape", json!({ "action": "rewind" }), "action"),
        ("fault", json!({ "fault": { "kind": "explode" } }), "fault"),
        ("account", json!({ "key": "k" }), "secret"),
        ("drop-sockets", json!({ "kex": "k" }), "kex"),
    ] {
        let answer = x
            .plain("POST", &format!("/_control/{path}"), Some(body))
            .await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    assert_eq!(x.plain("GET", "/_control/nowhere", None).await.status, 404);
}
