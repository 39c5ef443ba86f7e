//! Requests, answers, refusals.

use serde_json::json;
use vigia::simulator::{AccountConfig, LedgerKind, LedgerSource, Simulator, SimulatorConfig};

use crate::client::{KEY, PHRASE, SECRET, exchange, exchange_with, now_ms, sign};

#[tokio::test]
async fn public_routes_need_no_signature() {
    let x = exchange().await;
    assert_eq!(x.plain("GET", "/v3/ping", None).await.text, "\"pong\"");
    let time = x.plain("GET", "/v3/time", None).await.ok();
    assert!(time["time"].as_str().unwrap().ends_with('Z'));
    let ticker = x.plain("GET", "/v3/futures/ticker", None).await.ok();
    assert_eq!(
        ticker["lastPrice"],
        json!(100_000),
        "an integer, not 100000.0"
    );
    assert_eq!(ticker["prices"][0]["askPrice"], json!(100_000));
    let nowhere = x.plain("GET", "/v3/nowhere", None).await;
    assert_eq!((nowhere.status, nowhere.text.as_str()), (404, "Not found"));
}

#[tokio::test]
async fn a_wrong_signature_key_or_time_is_unauthorized() {
    let x = exchange().await;
    let denied = (401, "UNAUTHORIZED".to_owned());
    let now = now_ms();
    assert_eq!(x.get("/account").await.status, 200);
    for (key, secret, time) in [
        (KEY, "wrong", now),
        ("unknown", SECRET, now),
        (KEY, SECRET, now - 31_000),
        (KEY, SECRET, now + 31_000),
    ] {
        let answer = x
            .send_as(key, secret, time, "GET", "/account", None)
            .await
            .unwrap();
        assert_eq!(answer.code(), denied);
    }
    assert_eq!(x.plain("GET", "/v3/account", None).await.code(), denied);
    x.control.revoke_key(KEY);
    assert_eq!(x.get("/account").await.code(), denied);
}

#[tokio::test]
async fn an_empty_query_is_not_signed() {
    let x = exchange().await;
    let now = now_ms().to_string();
    let signature = sign(SECRET, &format!("{now}get/v3/account"));
    let request = x.http.get(format!("{}/account?", x.simulator.api_url()));
    let answer = request
        .header("lnm-access-key", KEY)
        .header("lnm-access-passphrase", PHRASE)
        .header("lnm-access-timestamp", now)
        .header("lnm-access-signature", signature)
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_missing_scope_is_forbidden() {
    let reader = AccountConfig::new(KEY, SECRET, crate::client::PHRASE, 500_000)
        .with_permissions(&["account:read", "futures:isolated:read"]);
    let x = exchange_with(|config| config.accounts = vec![reader]).await;
    assert_eq!(
        x.get("/futures/isolated/trades/running").await.ok(),
        json!([])
    );
    let body = json!({ "type": "market", "side": "buy", "quantity": 1000, "leverage": 10 });
    let answer = x.post("/futures/isolated/trade", body).await;
    assert_eq!(answer.code(), (403, "FORBIDDEN".to_owned()));
    assert!(x.control.ledger().is_empty());
}

#[tokio::test]
async fn a_market_order_margin_and_a_close() {
    let x = exchange().await;
    let trade = x.buy().await;
    assert_eq!(trade["running"], true);
    assert_eq!(
        (
            trade["margin"].as_i64(),
            trade["liquidation"].as_f64(),
            trade["leverage"].as_i64()
        ),
        (Some(100_000), Some(90_909.0), Some(10))
    );
    assert_eq!(x.balance(), 397_900);

    x.control.set_price(95_000.0).unwrap();
    let running = x.get("/futures/isolated/trades/running").await.ok();
    assert_eq!(running[0]["pl"], json!(-52_632));

    let sent = now_ms();
    let body = json!({ "id": trade["id"], "amount": 76_471 });
    let trade = x
        .post("/futures/isolated/trade/add-margin", body)
        .await
        .ok();
    assert_eq!(
        (trade["margin"].as_i64(), trade["liquidation"].as_i64()),
        (Some(176_471), Some(85_000))
    );
    assert_eq!(x.balance(), 321_429);

    let closed = x
        .post(
            "/futures/isolated/trade/close",
            json!({ "id": trade["id"] }),
        )
        .await
        .ok();
    assert_eq!(
        (closed["closed"].as_bool(), closed["pl"].as_i64()),
        (Some(true), Some(-52_632))
    );
    // Margin, reserve left, closing fee, loss.
    assert_eq!(x.balance(), 321_429 + 176_471 + 1100 - 1052 - 52_632);
    assert_eq!(x.get("/account").await.ok()["balance"], json!(x.balance()));
    let page = x.get("/futures/isolated/trades/closed?limit=10").await.ok();
    assert_eq!(
        (page["data"][0]["id"].clone(), page["nextCursor"].clone()),
        (trade["id"].clone(), json!(null))
    );

    let ledger = x.control.ledger();
    let kinds: Vec<_> = ledger.iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            LedgerKind::Filled,
            LedgerKind::MarginAdded,
            LedgerKind::Closed
        ]
    );
    assert_eq!(
        (ledger[1].amount, ledger[1].balance_after),
        (Some(76_471), 321_429)
    );
    assert_eq!(ledger[1].source, LedgerSource::Api);
    assert!((ledger[1].request_timestamp.unwrap() - sent).abs() < 1000);

    let again = x
        .post(
            "/futures/isolated/trade/close",
            json!({ "id": trade["id"] }),
        )
        .await;
    assert_eq!(again.code(), (400, "BAD_REQUEST".to_owned()));
    let unknown = json!({ "id": "00000000-0000-4000-8000-000000000000" });
    let unknown = x.post("/futures/isolated/trade/close", unknown).await;
    assert_eq!(unknown.code(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn limit_orders_stops_and_their_removal() {
    let x = exchange().await;
    let body = json!({
        "type": "limit", "side": "buy", "price": 99_000.5, "quantity": 100, "leverage": 12.5,
        "stoploss": 95_000, "takeprofit": 120_000, "clientId": "g1",
    });
    let trade = x.post("/futures/isolated/trade", body).await.ok();
    assert_eq!(
        (&trade["open"], &trade["clientId"]),
        (&json!(true), &json!("g1"))
    );
    assert_eq!(trade["leverage"], json!(12.5));
    let id = &trade["id"];
    let same = json!({ "id": id, "value": 95_000 });
    assert_eq!(
        x.put("/futures/isolated/trade/stoploss", same).await.status,
        400
    );
    let trailing = json!({ "id": id, "value": 0.02, "mode": "trailing" });
    let trade = x
        .put("/futures/isolated/trade/stoploss", trailing)
        .await
        .ok();
    assert_eq!(trade["stoplossTrailingDistance"], json!(0.02));
    let path = format!(
        "/futures/isolated/trade/stoploss?id={}",
        id.as_str().unwrap()
    );
    let trade = x.send("DELETE", &path, None).await.unwrap().ok();
    assert_eq!(
        (&trade["stoploss"], &trade["stoplossTrailingDistance"]),
        (&json!(0), &json!(0))
    );
    let canceled = x
        .send("POST", "/futures/isolated/trades/cancel-all", None)
        .await
        .unwrap()
        .ok();
    assert_eq!(canceled.as_array().unwrap().len(), 1);
    assert_eq!(x.balance(), 500_000);
    let page = x.get("/futures/isolated/trades/canceled").await.ok();
    assert_eq!(page["data"][0]["canceled"], true);
}

#[tokio::test]
async fn bad_bodies_name_the_field() {
    let x = exchange().await;
    let good =
        json!({ "type": "limit", "side": "buy", "price": 90_000, "quantity": 10, "leverage": 5 });
    for (field, value) in [
        ("side", json!("b")),
        ("price", json!(90_000.3)),
        ("quantity", json!(1.5)),
        ("quantity", json!(0)),
        ("leverage", json!(101)),
        ("clientId", json!("x".repeat(65))),
        ("clientid", json!("x")),
        ("stoploss", json!(91_000)),
    ] {
        x.refuses("/futures/isolated/trade", &good, field, value)
            .await;
    }
    assert_eq!(x.post("/futures/isolated/trade", good).await.status, 200);
}

#[tokio::test]
async fn pages_are_walked_by_cursor() {
    let x = exchange().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = x.buy().await["id"].clone();
        x.post("/futures/isolated/trade/close", json!({ "id": id }))
            .await
            .ok();
        ids.insert(0, id);
    }
    let first = x.get("/futures/isolated/trades/closed?limit=2").await.ok();
    let cursor = first["nextCursor"].as_str().unwrap();
    let path = format!("/futures/isolated/trades/closed?limit=2&cursor={cursor}");
    let second = x.get(&path).await.ok();
    let found: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| {
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|trade| trade["id"].clone())
        })
        .collect();
    assert_eq!(found, ids);
    assert_eq!(second["nextCursor"], json!(null));
}

#[tokio::test]
async fn funding_is_listed() {
    let x = exchange().await;
    let trade = x.buy().await;
    x.control.settle_funding(0.0001, 100_500.0).unwrap();
    let path = format!(
        "/futures/isolated/funding-fees?tradeId={}",
        trade["id"].as_str().unwrap()
    );
    let fees = x.get(&path).await.ok();
    assert_eq!(fees["data"][0]["fee"], json!(100));
    let settlements = x
        .plain("GET", "/v3/futures/funding-settlements", None)
        .await
        .ok();
    assert_eq!(settlements["data"][0]["fixingPrice"], json!(100_500));
    assert_eq!(
        settlements["data"][0]["id"],
        fees["data"][0]["settlementId"]
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let x = exchange().await;
    let config = SimulatorConfig {
        listen: x.simulator.addr(),
        ..Default::default()
    };
    let error = Simulator::start(config).await.unwrap_err().to_string();
    assert!(error.contains(&x.simulator.addr().to_string()), "{error}");
}

#[tokio::test]
async fn the_port_is_free_again_after_a_stop() {
    let x = exchange().await;
    let address = x.simulator.addr();
    x.simulator.stop().await;
    let config = SimulatorConfig {
        listen: address,
        ..Default::default()
    };
    Simulator::start(config).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_thread_of_its_own_serves_too() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let simulator = Simulator::start_on_thread(SimulatorConfig::default()).unwrap();
    let answer = reqwest::get(format!("{}/ping", simulator.api_url()))
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "\"pong\"");
    let url = format!("{}/ping", simulator.api_url());
    drop(simulator);
    assert!(reqwest::get(url).await.is_err());
}
