//! Answers that no exchange should give.

use serde_json::json;
use vigia::domain::ids::PositionId;
use vigia::domain::position::Side;
use vigia::domain::units::Price;
use vigia::exchange::{Class, NewTrade, StopLoss};

use crate::scripted::Scripted;
use crate::stage::{QUANTITY, price, who};

const ID: PositionId = PositionId(uuid::Uuid::from_u128(7));

fn trade(changes: &serde_json::Value) -> String {
    let mut trade = json!({
        "id": ID.to_string(), "side": "buy", "quantity": 1000, "leverage": 10, "margin": 100_000,
        "maintenanceMargin": 1100, "price": 100_000, "liquidation": 90_909, "running": true,
        "createdAt": "2026-10-26T16:30:43.123Z", "clientId": "ours",
    });
    for (key, value) in changes.as_object().unwrap() {
        trade[key] = value.clone();
    }
    trade.to_string()
}

#[tokio::test]
async fn a_running_trade_that_cannot_be_read_spoils_no_other() {
    let other = uuid::Uuid::from_u128(8);
    let list = format!(
        "[{},{}]",
        trade(&json!({})),
        trade(&json!({ "id": other, "side": "\u{202e}gnol" }))
    );
    let script = Scripted::answering([(200, list)]).await;
    let running = script.rest.running(&who()).await.unwrap();
    assert_eq!(running.positions.len(), 1);
    assert!(running.may_hold(PositionId(other)) && !running.may_hold(ID));
    let problem = &running.unreadable[0].problem;
    assert!(
        problem.contains("gnol") && !problem.contains('\u{202e}'),
        "{problem}"
    );
}

#[tokio::test]
async fn an_opening_is_unknown_unless_its_own_trade_comes_back_running() {
    for changes in [
        json!({ "clientId": "another" }),
        json!({ "running": false, "open": true }),
        json!({ "price": -1 }),
    ] {
        let script = Scripted::answering([(200, trade(&changes))]).await;
        let order = NewTrade::market(Side::Buy, QUANTITY, 10.0, "ours");
        let now = script.rest.clock().now();
        let error = script.rest.open(&who(), &order, now).await.unwrap_err();
        assert_eq!(error.class, Class::Unknown, "{changes}: {error}");
    }
}

#[tokio::test]
async fn a_stop_counts_as_set_only_where_the_answer_shows_it() {
    let to = |usd| StopLoss::Fixed(price(usd));
    for changes in [
        json!({ "stoploss": 94_000 }),
        json!({ "stoploss": 95_000, "stoplossTrailingDistance": 0.05 }),
        json!({ "stoploss": 95_000, "running": false, "closed": true }),
        json!({ "stoploss": 95_000, "id": uuid::Uuid::from_u128(9) }),
    ] {
        let script = Scripted::answering([(200, trade(&changes))]).await;
        let (rest, now) = (&script.rest, script.rest.clock().now());
        let set = rest.set_stoploss(&who(), ID, to(95_000.0), now).await;
        assert!(set.unwrap_err().is_retryable(), "{changes}");
    }
    let answers = [json!({ "takeprofit": 5 }), json!({ "stoploss": 5 })];
    let script = Scripted::answering(answers.map(|changes| (200, trade(&changes)))).await;
    let (rest, now) = (&script.rest, script.rest.clock().now());
    assert!(rest.remove_takeprofit(&who(), ID, now).await.is_err());
    assert!(rest.remove_stoploss(&who(), ID, now).await.is_err());
    assert_eq!(
        script.asked(),
        [
            format!("DELETE /v3/futures/isolated/trade/takeprofit?id={ID}"),
            format!("DELETE /v3/futures/isolated/trade/stoploss?id={ID}"),
        ]
    );
}

#[tokio::test]
async fn a_take_profit_that_was_not_taken_is_no_success() {
    let script = Scripted::answering([(200, trade(&json!({ "takeprofit": 0 })))]).await;
    let (rest, now) = (&script.rest, script.rest.clock().now());
    let set = rest.set_takeprofit(&who(), ID, Price::MAX, now).await;
    assert!(set.is_err());
}
