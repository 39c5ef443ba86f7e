//! Open orders, stop-losses, take-profits and trailing stops over real sockets.

use serde_json::{Value, json};

use crate::client::{Exchange, exchange};

const STOP: &str = "/futures/isolated/trade/stoploss";
const PROFIT: &str = "/futures/isolated/trade/takeprofit";

impl Exchange {
    async fn limit(&self, side: &str, price: f64) -> Value {
        let body = json!({
            "type": "limit", "side": side, "price": price, "quantity": 1000, "leverage": 10,
        });
        self.post("/futures/isolated/trade", body).await.ok()
    }

    async fn market(&self, side: &str) -> Value {
        let body = json!({ "type": "market", "side": side, "quantity": 1000, "leverage": 10 });
        self.post("/futures/isolated/trade", body).await.ok()
    }

    /// The message of a refusal.
    async fn refused(&self, path: &str, trade: &Value, value: f64) -> String {
        let answer = self
            .put(path, json!({ "id": trade["id"], "value": value }))
            .await;
        assert_eq!(answer.status, 400, "{path} {value}");
        assert_eq!(answer.json()["details"]["field"], json!("value"));
        answer.json()["message"].as_str().unwrap().to_owned()
    }

    async fn set(&self, path: &str, trade: &Value, value: f64) -> Value {
        self.put(path, json!({ "id": trade["id"], "value": value }))
            .await
            .ok()
    }
}

#[tokio::test]
async fn a_refused_stop_names_the_range() {
    let x = exchange().await;
    let long = x.market("buy").await;
    for bad in [90_908.5, 100_000.0, 120_000.0] {
        let message = x.refused(STOP, &long, bad).await;
        assert_eq!(message, "the stop-loss must be from 90909 to below 100000");
    }
    let message = x.refused(PROFIT, &long, 100_000.0).await;
    assert_eq!(message, "the take-profit must be above 100000");
    x.set(STOP, &long, 90_909.0).await;
    x.set(PROFIT, &long, 100_000.5).await;
    x.control.set_price(99_000.0).unwrap();
    let message = x.refused(PROFIT, &long, 99_500.0).await;
    assert_eq!(
        message, "the take-profit must be above 100000",
        "not below the entry"
    );

    let short = x.market("sell").await;
    for bad in [99_000.0, 110_000.5] {
        let message = x.refused(STOP, &short, bad).await;
        assert_eq!(message, "the stop-loss must be above 99000 to 110000");
    }
    let message = x.refused(PROFIT, &short, 99_000.0).await;
    assert_eq!(message, "the take-profit must be below 99000");
    x.set(STOP, &short, 110_000.0).await;
    x.set(PROFIT, &short, 98_999.5).await;
}

#[tokio::test]
async fn a_stop_never_passes_the_take_profit() {
    let x = exchange().await;
    let long = x.market("buy").await;
    x.set(PROFIT, &long, 102_000.0).await;
    x.control.set_price(101_900.0).unwrap();
    x.set(STOP, &long, 101_000.0).await;
    let message = x.refused(PROFIT, &long, 101_000.0).await;
    assert_eq!(message, "the take-profit must be above 101900");
    let message = x.refused(STOP, &long, 102_000.0).await;
    assert_eq!(message, "the stop-loss must be from 90909 to below 101900");
}

#[tokio::test]
async fn the_same_value_is_refused_and_zero_removes() {
    let x = exchange().await;
    let long = x.market("buy").await;
    for (path, value, field) in [
        (STOP, 95_000.0, "stoploss"),
        (PROFIT, 105_000.0, "takeprofit"),
    ] {
        x.refused(path, &long, 0.0).await;
        assert_eq!(x.set(path, &long, value).await[field], json!(value as i64));
        assert!(
            x.refused(path, &long, value).await.contains("already"),
            "{field}"
        );
        assert_eq!(x.set(path, &long, 0.0).await[field], json!(0));
        x.set(path, &long, value).await;
        let query = format!("{path}?id={}", long["id"].as_str().unwrap());
        let trade = x.send("DELETE", &query, None).await.unwrap().ok();
        assert_eq!(trade[field], json!(0));
        assert_eq!(x.send("DELETE", &query, None).await.unwrap().status, 400);
    }
}

#[tokio::test]
async fn stops_of_an_open_order_are_judged_by_its_limit() {
    let x = exchange().await;
    // 30 % below the market, liquidation at 63,636.5.
    let order = x.limit("buy", 70_000.0).await;
    let message = x.refused(STOP, &order, 70_000.0).await;
    assert_eq!(message, "the stop-loss must be from 63636.5 to below 70000");
    x.set(STOP, &order, 65_000.0).await;
    x.set(PROFIT, &order, 70_000.5).await;
    x.control.set_price(70_000.0).unwrap();
    let running = x.get("/futures/isolated/trades/running").await.ok();
    assert_eq!(
        (&running[0]["stoploss"], &running[0]["takeprofit"]),
        (&json!(65_000), &json!(70_000.5))
    );
    x.control.set_price(70_001.0).unwrap();
    let closed = x.get("/futures/isolated/trades/closed").await.ok();
    assert_eq!(closed["data"][0]["exitPrice"], json!(70_000.5));
}

#[tokio::test]
async fn trailing_and_fixed_replace_each_other() {
    let x = exchange().await;
    let long = x.market("buy").await;
    let trail = |distance: f64| json!({ "id": long["id"], "value": distance, "mode": "trailing" });
    for bad in [0.0009, 10.5] {
        assert_eq!(x.put(STOP, trail(bad)).await.status, 400, "{bad}");
    }
    let trade = x.put(STOP, trail(0.02)).await.ok();
    assert_eq!(
        (&trade["stoploss"], &trade["stoplossTrailingDistance"]),
        (&json!(98_000), &json!(0.02))
    );
    assert_eq!(
        x.put(STOP, trail(0.02)).await.status,
        400,
        "the same distance"
    );
    x.control.set_price(103_000.0).unwrap();
    x.control.set_price(102_000.0).unwrap();
    let running = x.get("/futures/isolated/trades/running").await.ok();
    assert_eq!(running[0]["stoploss"], json!(100_940), "it never loosens");
    let trade = x.set(STOP, &long, 101_000.0).await;
    assert_eq!(
        (&trade["stoploss"], &trade["stoplossTrailingDistance"]),
        (&json!(101_000), &json!(0))
    );
    // A long that trails by its whole price has no stop that a price could reach.
    let trade = x.put(STOP, trail(1.0)).await.ok();
    assert_eq!(
        (&trade["stoploss"], &trade["stoplossTrailingDistance"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test]
async fn open_orders_are_listed_and_withdrawn_with_their_reserves() {
    let x = exchange().await;
    let long = x.limit("buy", 90_000.0).await;
    // Margin 111,111, reserves 1111 and 1222.
    assert_eq!(x.balance(), 500_000 - 111_111 - 1111 - 1222);
    let short = x.limit("sell", 90_000.0).await;
    let open = x.get("/futures/isolated/trades/open").await.ok();
    assert_eq!(
        (&open[0]["id"], &open[1]["id"]),
        (&short["id"], &long["id"])
    );
    let id = json!({ "id": long["id"] });
    let ended = x
        .post("/futures/isolated/trade/cancel", id.clone())
        .await
        .ok();
    assert_eq!(
        (&ended["canceled"], &ended["open"]),
        (&json!(true), &json!(false))
    );
    assert!(ended["closedAt"].is_string());
    for path in ["cancel", "close", "cash-in"] {
        let mut body = id.clone();
        if path == "cash-in" {
            body["amount"] = json!(1);
        }
        let answer = x
            .post(&format!("/futures/isolated/trade/{path}"), body)
            .await;
        assert_eq!(answer.code(), (400, "BAD_REQUEST".to_owned()), "{path}");
    }
    x.control.set_price(90_000.0).unwrap();
    let answer = x
        .post(
            "/futures/isolated/trade/cancel",
            json!({ "id": short["id"] }),
        )
        .await;
    assert_eq!(answer.status, 400, "it runs");
    let page = x.get("/futures/isolated/trades/canceled").await.ok();
    assert_eq!(
        (
            page["data"].as_array().unwrap().len(),
            &page["data"][0]["id"]
        ),
        (1, &long["id"])
    );
    let all = x
        .send("POST", "/futures/isolated/trades/cancel-all", None)
        .await
        .unwrap();
    assert_eq!(all.ok(), json!([]));
}
