//! What the cross routes refuse, and what goes wrong on them.

use serde_json::json;
use vigia::simulator::{AccountConfig, Fault, LedgerKind};

use super::at_ten;
use crate::client::{KEY, PHRASE, SECRET, exchange_with};

#[tokio::test]
async fn bad_bodies_name_the_field() {
    let x = at_ten().await;
    let good = json!({ "type": "limit", "side": "buy", "price": 90_000, "quantity": 10 });
    for (field, value) in [
        ("side", json!("b")),
        ("price", json!(90_000.3)),
        ("price", json!(null)),
        ("quantity", json!(0)),
        ("quantity", json!(500_001)),
        ("quantity", json!(1.5)),
        ("leverage", json!(10)),
        ("clientId", json!("x".repeat(65))),
    ] {
        x.refuses("/futures/cross/order", &good, field, value).await;
    }
    for (path, body) in [
        ("deposit", json!({ "amount": 0 })),
        ("deposit", json!({ "amount": 500_001 })),
        ("withdraw", json!({ "amount": 501_001 })),
        ("withdraw", json!({ "amount": 1.5 })),
    ] {
        let answer = x.post(&format!("/futures/cross/{path}"), body).await;
        assert_eq!(answer.json()["details"]["field"], json!("amount"), "{path}");
    }
    // A dollar at 1.5 is 66,666,666 sats: far over what the margin bears.
    let far = json!({ "type": "limit", "side": "buy", "price": 1.5, "quantity": 1 });
    assert_eq!(x.post("/futures/cross/order", far).await.status, 400);
    for bad in [json!(0), json!(101), json!(2.5)] {
        let answer = x
            .put("/futures/cross/leverage", json!({ "leverage": bad }))
            .await;
        assert_eq!(answer.json()["details"]["field"], json!("leverage"));
    }
    assert_eq!(x.ledger(), [LedgerKind::CrossLeverageSet]);
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let isolated = [
        "account:read",
        "futures:isolated:read",
        "futures:isolated:write",
    ];
    let reader = ["futures:cross:read"];
    let denied = (403, "FORBIDDEN".to_owned());
    for (scopes, read) in [(&isolated[..], 403), (&reader[..], 200)] {
        let account = AccountConfig::new(KEY, SECRET, PHRASE, 500_000).with_permissions(scopes);
        let x = exchange_with(|config| config.accounts = vec![account]).await;
        assert_eq!(x.get("/futures/cross/position").await.status, read);
        let answer = x
            .post("/futures/cross/deposit", json!({ "amount": 1 }))
            .await;
        assert_eq!(answer.code(), denied);
    }
}

#[tokio::test]
async fn faults_work_on_cross_routes() {
    let x = at_ten().await;
    let order = "/v3/futures/cross/order";
    x.control
        .inject(Fault::LoseReply.on_route(order).times(1))
        .unwrap();
    let body = json!({ "type": "market", "side": "buy", "quantity": 10, "clientId": "once" });
    assert!(
        x.send("POST", "/futures/cross/order", Some(body))
            .await
            .is_err()
    );
    let filled = x.get("/futures/cross/orders/filled").await.ok();
    assert_eq!(filled["data"][0]["clientId"], json!("once"));
    assert_eq!(x.ledger().last(), Some(&LedgerKind::CrossFilled));

    x.control
        .inject(
            Fault::DropRequest
                .on_route("/v3/futures/cross/deposit")
                .times(1),
        )
        .unwrap();
    let body = Some(json!({ "amount": 5 }));
    assert!(
        x.send("POST", "/futures/cross/deposit", body)
            .await
            .is_err()
    );
    assert_eq!(x.balance(), 500_000);

    x.control
        .inject(
            Fault::EngineUnavailable
                .on_route("/v3/futures/cross")
                .times(1),
        )
        .unwrap();
    let answer = x
        .send("POST", "/futures/cross/position/close", None)
        .await
        .unwrap();
    assert_eq!(answer.code(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    assert_eq!(x.position().await["quantity"], json!(10));
}
