//! Limit orders of the cross account: listed, filled, canceled, paged.

use serde_json::{Value, json};

use super::at_ten;

#[tokio::test]
async fn limit_orders_are_listed_filled_and_canceled() {
    let x = at_ten().await;
    let first = x.cross_limit("buy", 90_000.0, "a").await;
    assert_eq!(
        (&first["open"], &first["tradingFee"]),
        (&json!(true), &json!(0))
    );
    let second = x.cross_limit("sell", 90_000.0, "b").await;
    let third = x.cross_limit("buy", 80_000.5, "c").await;
    let open = x.get("/futures/cross/orders/open").await.ok();
    assert_eq!(
        (&open[0]["id"], &open[2]["clientId"]),
        (&third["id"], &json!("a"))
    );
    assert_eq!(
        x.position().await["initialMargin"],
        json!(1111 + 1111 + 1249)
    );

    let id = json!({ "id": first["id"] });
    let ended = x.post("/futures/cross/order/cancel", id.clone()).await.ok();
    assert_eq!(
        (&ended["canceled"], &ended["filledAt"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(x.post("/futures/cross/order/cancel", id).await.status, 400);
    let unknown = json!({ "id": "00000000-0000-0000-0000-000000000000" });
    let answer = x.post("/futures/cross/order/cancel", unknown).await;
    assert_eq!(answer.code(), (404, "NOT_FOUND".to_owned()));

    x.control.set_price(90_000.0).unwrap();
    let filled = x.get("/futures/cross/orders/filled").await.ok();
    assert_eq!(filled["data"][0]["id"], second["id"]);
    assert_eq!(
        (&filled["data"][0]["type"], &filled["data"][0]["tradingFee"]),
        (&json!("limit"), &json!(11))
    );
    assert_eq!(x.position().await["quantity"], json!(-10));
    let rest = x
        .send("POST", "/futures/cross/orders/cancel-all", None)
        .await
        .unwrap()
        .ok();
    assert_eq!(
        (rest.as_array().unwrap().len(), &rest[0]["id"]),
        (1, &third["id"])
    );
}

#[tokio::test]
async fn filled_orders_are_paged() {
    let x = at_ten().await;
    let mut ids: Vec<Value> = Vec::new();
    for side in ["buy", "sell", "sell", "buy", "buy"] {
        ids.insert(0, x.cross(side, 1).await["id"].clone());
    }
    let mut found = Vec::new();
    let mut path = "/futures/cross/orders/filled?limit=2".to_owned();
    loop {
        let page = x.get(&path).await.ok();
        found.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|order| order["id"].clone()),
        );
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("/futures/cross/orders/filled?limit=2&cursor={cursor}");
    }
    assert_eq!(found, ids);
}
