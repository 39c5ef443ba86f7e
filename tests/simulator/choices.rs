//! The other answers where the protocol is unknown.

use std::time::Duration;

use serde_json::json;
use vigia::simulator::Choices;

use crate::client::{Exchange, exchange_with};
use crate::socket::TRADES;

async fn with(change: impl FnOnce(&mut Choices)) -> Exchange {
    exchange_with(|config| change(&mut config.choices)).await
}

#[tokio::test]
async fn a_wrong_state_may_be_404_or_409() {
    for (status, code) in [(400, "BAD_REQUEST"), (404, "NOT_FOUND"), (409, "CONFLICT")] {
        let x = with(|choices| choices.wrong_state_status = status).await;
        let id = json!({ "id": x.buy().await["id"] });
        let close = "/futures/isolated/trade/close";
        x.post(close, id.clone()).await.ok();
        let wanted = (status, code.to_owned());
        assert_eq!(x.post(close, id).await.code(), wanted);
        let again = x.send("POST", "/futures/cross/position/close", None).await;
        assert_eq!(again.unwrap().code(), wanted);
    }
}

#[tokio::test]
async fn margins_may_be_rounded_up() {
    let x = with(|choices| choices.margin_rounds_up = true).await;
    x.control.set_price(60_000.5).unwrap();
    let body = json!({ "type": "market", "side": "buy", "quantity": 1234, "leverage": 25 });
    let trade = x.post("/futures/isolated/trade", body).await.ok();
    // 82,265.98 sats.
    assert_eq!(trade["margin"], json!(82_266));
}

#[tokio::test]
async fn stops_may_exit_at_the_quote() {
    let x = exchange_with(|config| {
        config.choices.stops_exit_at_quote = true;
        config.spread = 10.0;
    })
    .await;
    let id = x.buy().await["id"].clone();
    let body = json!({ "id": id, "value": 95_000 });
    x.put("/futures/isolated/trade/stoploss", body).await.ok();
    x.control.set_price(94_000.0).unwrap();
    let page = x.get("/futures/isolated/trades/closed").await.ok();
    assert_eq!(
        page["data"][0]["exitPrice"],
        json!(93_995),
        "the bid, not the stop"
    );
}

#[tokio::test]
async fn funding_revenue_may_go_to_the_margin() {
    let x = with(|choices| choices.funding_revenue_to_margin = true).await;
    x.buy().await;
    let before = x.balance();
    x.control.settle_funding(-0.0001, 100_000.0).unwrap();
    let running = x.get("/futures/isolated/trades/running").await.ok();
    assert_eq!(
        (&running[0]["margin"], x.balance()),
        (&json!(100_100), before)
    );
    assert_eq!(running[0]["liquidation"], json!(90_901));
}

#[tokio::test]
async fn trades_may_be_few_and_their_names_unique() {
    let x = with(|choices| {
        choices.max_live_trades = 2;
        choices.unique_client_ids = true;
    })
    .await;
    let mut body = json!({
        "type": "market", "side": "buy", "quantity": 10, "leverage": 10, "clientId": "a",
    });
    let path = "/futures/isolated/trade";
    x.post(path, body.clone()).await.ok();
    let again = x.post(path, body.clone()).await;
    assert_eq!(again.json()["details"]["field"], json!("clientId"));
    body["clientId"] = json!("b");
    x.post(path, body.clone()).await.ok();
    body["clientId"] = json!("c");
    assert_eq!(
        x.post(path, body).await.json()["details"]["field"],
        json!("type")
    );
}

#[tokio::test]
async fn private_topics_may_be_granted_and_silent() {
    let x = with(|choices| choices.silent_private_topics = true).await;
    let mut socket = x.connect().await;
    let answer = socket
        .call("subscribe", json!({ "topics": [TRADES] }))
        .await;
    assert_eq!(answer["result"]["subscribed"], json!([TRADES]));
    x.buy().await;
    // The next frame is the answer, and no event came before it.
    socket
        .send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#)
        .await;
    assert_eq!(socket.frame().await["id"], json!("p"));
}

#[tokio::test]
async fn what_has_ended_may_be_listed_late() {
    let x = with(|choices| choices.closed_lag = Duration::from_millis(300)).await;
    let trade = x.buy().await;
    let id = json!({ "id": trade["id"] });
    x.post("/futures/isolated/trade/close", id).await.ok();
    assert_eq!(
        x.get("/futures/isolated/trades/running").await.ok(),
        json!([])
    );
    let list = || async { x.get("/futures/isolated/trades/closed").await.ok()["data"].clone() };
    assert_eq!(list().await, json!([]), "in neither list");
    let listed = async {
        while list().await == json!([]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), listed)
        .await
        .expect("in time");
    assert_eq!(list().await[0]["id"], trade["id"]);
}
