//! Cross margin over real sockets.

mod orders;
mod refused;

use serde_json::{Value, json};
use vigia::simulator::{LedgerKind, LedgerSource};

use crate::client::{Exchange, KEY, exchange};

const ORDERS: &str = "futures/inverse/btc_usd/cross/orders";
const POSITION: &str = "futures/inverse/btc_usd/cross/position";

/// An account with 501,000 sats of cross margin at 10x.
async fn at_ten() -> Exchange {
    let x = exchange().await;
    x.control.give_cross_margin(KEY, 501_000);
    let body = json!({ "leverage": 10 });
    x.put("/futures/cross/leverage", body).await.ok();
    x
}

impl Exchange {
    async fn cross(&self, side: &str, quantity: i64) -> Value {
        let body = json!({ "type": "market", "side": side, "quantity": quantity });
        self.post("/futures/cross/order", body).await.ok()
    }

    async fn cross_limit(&self, side: &str, price: f64, client_id: &str) -> Value {
        let body = json!({
            "type": "limit", "side": side, "quantity": 10, "price": price, "clientId": client_id,
        });
        self.post("/futures/cross/order", body).await.ok()
    }

    async fn position(&self) -> Value {
        self.get("/futures/cross/position").await.ok()
    }
}

#[tokio::test]
async fn an_account_that_never_used_it_is_flat() {
    let x = exchange().await;
    let flat = x.position().await;
    assert_eq!((&flat["quantity"], &flat["margin"]), (&json!(0), &json!(0)));
    assert_eq!(flat["entryPrice"], json!(null));
    assert_eq!(flat["liquidation"], json!(null));
    let names: Vec<&String> = flat.as_object().unwrap().keys().collect();
    let mut wanted = [
        "id",
        "margin",
        "quantity",
        "leverage",
        "entryPrice",
        "liquidation",
        "initialMargin",
        "runningMargin",
        "maintenanceMargin",
        "tradingFees",
        "fundingFees",
        "totalPl",
        "deltaPl",
        "updatedAt",
    ];
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    assert_eq!(x.get("/futures/cross/orders/open").await.ok(), json!([]));
    for list in ["orders/filled", "transfers", "funding-fees"] {
        let page = x.get(&format!("/futures/cross/{list}")).await.ok();
        assert_eq!(page, json!({ "data": [], "nextCursor": null }), "{list}");
    }
}

#[tokio::test]
async fn deposit_trade_close_and_withdraw() {
    let x = exchange().await;
    let held = x
        .post("/futures/cross/deposit", json!({ "amount": 300_000 }))
        .await
        .ok();
    assert_eq!((&held["margin"], x.balance()), (&json!(300_000), 200_000));
    let id = held["id"].clone();
    x.put("/futures/cross/leverage", json!({ "leverage": 10 }))
        .await
        .ok();

    let order = x.cross("buy", 1000).await;
    assert_eq!(
        (&order["type"], &order["filled"]),
        (&json!("market"), &json!(true))
    );
    assert_eq!(
        (&order["price"], &order["tradingFee"]),
        (&json!(100_000), &json!(1000))
    );
    assert_eq!(
        (&order["clientId"], &order["canceledAt"]),
        (&json!(null), &json!(null))
    );
    let held = x.position().await;
    assert_eq!(
        (&held["quantity"], &held["margin"]),
        (&json!(1000), &json!(299_000))
    );
    assert_eq!(
        (&held["runningMargin"], &held["maintenanceMargin"]),
        (&json!(100_000), &json!(1500))
    );
    assert_eq!(held["liquidation"], json!(77_071.5));

    x.control.set_price(110_000.0).unwrap();
    let held = x.position().await;
    assert_eq!(
        (&held["totalPl"], &held["deltaPl"]),
        (&json!(90_909), &json!(90_909))
    );
    assert_eq!(
        Some(&held),
        serde_json::to_value(x.control.cross(KEY)).ok().as_ref()
    );

    let closing = x
        .send("POST", "/futures/cross/position/close", None)
        .await
        .unwrap()
        .ok();
    assert_eq!(
        (&closing["side"], &closing["quantity"]),
        (&json!("sell"), &json!(1000))
    );
    let held = x.position().await;
    assert_eq!((&held["id"], &held["quantity"]), (&id, &json!(0)));
    assert_eq!(held["margin"], json!(299_000 + 90_909 - 909));
    let again = x
        .send("POST", "/futures/cross/position/close", None)
        .await
        .unwrap();
    assert_eq!(again.code(), (400, "BAD_REQUEST".to_owned()));

    let rest = held["margin"].clone();
    x.post("/futures/cross/withdraw", json!({ "amount": rest }))
        .await
        .ok();
    assert_eq!(x.balance(), 200_000 + 389_000);
    let transfers = x.get("/futures/cross/transfers?limit=2").await.ok();
    let amounts: Vec<_> = [0, 1]
        .map(|n| transfers["data"][n]["amount"].clone())
        .into();
    assert_eq!(amounts, [json!(-389_000), json!(300_000)]);
    use LedgerKind::*;
    let kinds = [
        CrossDeposited,
        CrossLeverageSet,
        CrossFilled,
        CrossClosed,
        CrossWithdrawn,
    ];
    assert_eq!(x.ledger(), kinds);
    let ledger = x.control.ledger();
    assert!(ledger.iter().all(|entry| entry.source == LedgerSource::Api));
    assert_eq!(
        (ledger[2].quantity, ledger[3].quantity),
        (Some(1000), Some(-1000))
    );
    assert_eq!(
        ledger[2].trade_id.to_string(),
        order["id"].as_str().unwrap()
    );
}

#[tokio::test]
async fn the_stream_tells_of_orders_and_of_the_position() {
    let x = at_ten().await;
    let mut socket = x.follow(&[ORDERS, POSITION]).await;
    let filled = x.cross("buy", 1000).await;
    let told = socket.push(ORDERS).await;
    assert_eq!(
        (&told["event"], &told["pair"]),
        (&json!("new"), &json!("btc_usd"))
    );
    assert_eq!(
        (&told["order"]["id"], &told["order"]["type"]),
        (&filled["id"], &json!("market"))
    );
    assert_eq!(told["order"]["tradingFee"], json!(1000));
    assert!(told["order"]["filledAt"].is_i64() && told["order"]["createdAt"].is_i64());
    let told = socket.push(POSITION).await;
    assert_eq!(
        (&told["event"], &told["position"]["quantity"]),
        (&json!("new"), &json!(1000))
    );
    assert_eq!(told["position"]["liquidation"], json!(66_733.5));
    assert!(told["position"]["updatedAt"].is_i64() && told["position"].get("id").is_none());

    let resting = x.cross_limit("sell", 120_000.0, "x1").await;
    assert_eq!(socket.push(ORDERS).await["order"]["clientId"], json!("x1"));
    assert_eq!(socket.push(POSITION).await["event"], json!("new"));
    x.post(
        "/futures/cross/order/cancel",
        json!({ "id": resting["id"] }),
    )
    .await
    .ok();
    let told = socket.push(ORDERS).await;
    assert_eq!(told["event"], json!("canceled"));
    assert!(told["order"]["canceledAt"].is_i64() && told["order"].get("tradingFee").is_none());
    assert_eq!(socket.push(POSITION).await["event"], json!("cancel"));

    x.cross_limit("sell", 110_000.0, "x2").await;
    x.control.set_price(110_000.0).unwrap();
    assert_eq!(socket.push(ORDERS).await["event"], json!("new"));
    assert_eq!(socket.push(ORDERS).await["event"], json!("limit"));
    for event in ["new", "limit"] {
        assert_eq!(socket.push(POSITION).await["event"], json!(event));
    }
    x.post("/futures/cross/deposit", json!({ "amount": 5 }))
        .await
        .ok();
    x.post("/futures/cross/withdraw", json!({ "amount": 5 }))
        .await
        .ok();
    x.put("/futures/cross/leverage", json!({ "leverage": 20 }))
        .await
        .ok();
    x.control.settle_funding(0.0001, 100_000.0).unwrap();
    x.control.set_price(50_000.0).unwrap();
    for event in ["deposit", "withdraw", "leverage", "funding", "liquidation"] {
        assert_eq!(socket.push(POSITION).await["event"], json!(event));
    }
    let told = socket.push(ORDERS).await;
    assert_eq!(
        (&told["event"], &told["order"]["type"]),
        (&json!("new"), &json!("liquidation"))
    );
    let fees = x.get("/futures/cross/funding-fees").await.ok();
    assert_eq!(fees["data"][0]["fee"], json!(99), "990 USD");
}
