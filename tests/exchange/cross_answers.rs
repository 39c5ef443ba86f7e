//! The cross account, where the answers matter.

use serde_json::json;
use vigia::domain::position::Side;
use vigia::domain::units::{Sats, Usd};
use vigia::exchange::{Class, NewCrossOrder};

use crate::scripted::Scripted;
use crate::stage::{price, who};

const MARGIN: Sats = Sats(500_000);

fn account(quantity: i64, leverage: i64) -> String {
    let entry = (quantity != 0).then_some(100_000);
    let liquidation = (quantity != 0).then_some(66_733.5);
    json!({
        "id": uuid::Uuid::from_u128(9), "margin": MARGIN, "quantity": quantity,
        "leverage": leverage, "entryPrice": entry, "liquidation": liquidation,
        "maintenanceMargin": 1500, "tradingFees": 1000, "fundingFees": 0, "totalPl": 0,
        "updatedAt": "2026-10-26T16:30:43.123Z",
    })
    .to_string()
}

fn order(client_id: Option<&str>, changes: &serde_json::Value) -> String {
    let mut order = json!({
        "id": uuid::Uuid::from_u128(5), "type": "market", "side": "sell", "quantity": 10,
        "price": 77_055, "tradingFee": 12, "createdAt": "2026-10-22T11:07:19.867Z",
        "filledAt": "2026-10-22T11:07:19.867Z", "open": false, "filled": true,
        "canceled": false, "clientId": client_id,
    });
    for (key, value) in changes.as_object().unwrap() {
        order[key] = value.clone();
    }
    order.to_string()
}

fn selling() -> NewCrossOrder {
    NewCrossOrder {
        side: Side::Sell,
        quantity: Usd(10),
        client_id: "ours".to_owned(),
    }
}

#[tokio::test]
async fn requests_are_written_as_the_exchange_reads_them() {
    let filled = order(Some("ours"), &json!({}));
    let script = Scripted::answering([
        (200, filled.clone()),
        (200, order(None, &json!({ "side": "buy" }))),
        (200, account(0, 10)),
        (200, account(0, 25)),
        (200, account(1000, 25)),
    ])
    .await;
    let (rest, who, now) = (&script.rest, &who(), script.rest.clock().now());
    let sold = rest.cross_order(who, &selling(), now).await.unwrap();
    assert_eq!(sold.price, Some(price(77_055.0)));
    assert_eq!(sold.trading_fee, Sats(12));
    let bought = rest.cross_close(who, now).await.unwrap();
    assert_eq!(bought.side, Side::Buy);
    let flat = rest.cross_deposit(who, Sats(5000), now).await.unwrap();
    assert_eq!((flat.margin, flat.position), (MARGIN, None));
    let set = rest.cross_leverage(who, 25, now).await.unwrap();
    assert_eq!(set.leverage, 25);
    let read = rest.cross_position(who).await.unwrap();
    assert_eq!(read.position.unwrap().quantity, Usd(1000));
    assert_eq!(
        script.asked(),
        [
            r#"POST /v3/futures/cross/order {"type":"market","side":"sell","quantity":10,"clientId":"ours"}"#,
            "POST /v3/futures/cross/position/close",
            r#"POST /v3/futures/cross/deposit {"amount":5000}"#,
            r#"PUT /v3/futures/cross/leverage {"leverage":25}"#,
            "GET /v3/futures/cross/position",
        ]
    );
}

#[tokio::test]
async fn an_order_is_unknown_unless_it_comes_back_filled_and_whole() {
    for (client_id, changes) in [
        ("another", json!({})),
        ("ours", json!({ "side": "buy" })),
        ("ours", json!({ "quantity": 9 })),
        ("ours", json!({ "filled": false, "open": true })),
        ("ours", json!({ "quantity": "many" })),
    ] {
        let script = Scripted::answering([(200, order(Some(client_id), &changes))]).await;
        let now = script.rest.clock().now();
        let sent = script.rest.cross_order(&who(), &selling(), now).await;
        assert_eq!(sent.unwrap_err().class, Class::Unknown, "{changes}");
    }
}

#[tokio::test]
async fn after_a_5xx_what_has_its_effect_each_time_is_unknown_and_the_rest_may_be_repeated() {
    let script = Scripted::answering([(500, "{}"); 4]).await;
    let (rest, who, now) = (&script.rest, &who(), script.rest.clock().now());
    let order = rest.cross_order(who, &selling(), now).await.unwrap_err();
    assert_eq!(order.class, Class::Unknown);
    let deposit = rest.cross_deposit(who, Sats(1), now).await.unwrap_err();
    assert_eq!(deposit.class, Class::Unknown);
    assert!(rest.cross_close(who, now).await.unwrap_err().is_retryable());
    let leverage = rest.cross_leverage(who, 2, now).await;
    assert!(leverage.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_key_without_the_right_to_cross_is_told_apart_from_a_blocked_one() {
    let forbidden = (403, r#"{"code":"FORBIDDEN","message":"scope missing"}"#);
    let script = Scripted::answering([forbidden; 3]).await;
    let (rest, who, now) = (&script.rest, &who(), script.rest.clock().now());
    let read = rest.cross_position(who).await.unwrap_err();
    assert_eq!(read.class, Class::ScopeMissing);
    let close = rest.cross_close(who, now).await.unwrap_err();
    assert_eq!(close.class, Class::ScopeMissing);
    let running = rest.running(who).await.unwrap_err();
    assert_eq!(running.class, Class::Blocked);
}

#[tokio::test]
async fn an_order_is_found_by_its_client_id_open_or_filled() {
    let (others, ours) = (order(None, &json!({})), order(Some("ours"), &json!({})));
    let page = |order: &str| format!(r#"{{"data":[{order}],"nextCursor":null}}"#);
    let script = Scripted::answering([
        (200, format!("[{ours}]")),
        (200, format!("[{others}]")),
        (200, page(&ours)),
        (200, "[]".to_owned()),
        (200, page(&others)),
    ])
    .await;
    let (who, at) = (who(), "2026-10-22T11:07:19Z".parse().unwrap());
    for found in [true, true, false] {
        let order = script.rest.cross_order_by_client_id(&who, "ours", at);
        assert_eq!(order.await.unwrap().is_some(), found);
    }
    let open = "GET /v3/futures/cross/orders/open";
    let filled = "GET /v3/futures/cross/orders/filled?from=2026-10-22T11%3A06%3A49.000Z&limit=100";
    assert_eq!(script.asked(), [open, open, filled, open, filled]);
}

#[tokio::test]
async fn all_transfers_since_are_read_from_all_pages() {
    let page = |number: u128, time: &str, next: Option<&str>| {
        let transfer = json!({
            "id": uuid::Uuid::from_u128(number), "amount": 5000, "time": time,
        });
        (
            200,
            json!({ "data": [transfer], "nextCursor": next }).to_string(),
        )
    };
    let script = Scripted::answering([
        page(2, "2026-10-26T16:30:45.000Z", Some("2")),
        page(1, "2026-10-26T16:30:44.000Z", Some("1")),
        page(0, "2026-10-26T16:30:30.000Z", None),
    ])
    .await;
    let since = "2026-10-26T16:30:44Z".parse().unwrap();
    let who = who();
    let transfers = script.rest.cross_transfers_since(&who, since);
    let transfers = transfers.await.unwrap();
    assert_eq!(transfers.len(), 2);
    assert_eq!(script.asked().len(), 3);
}
