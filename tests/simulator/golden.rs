//! The golden scenario of the protocol's fact sheet, over real sockets, every figure.

use serde_json::{Value, json};
use vigia::simulator::Cadence;

use crate::client::{Exchange, KEY, exchange_with};
use crate::socket::{LAST, Socket, TRADES};

/// Fields of a trade, by name.
fn assert_fields(trade: &Value, wanted: Value) {
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&trade[name], value, "{name} of {trade}");
    }
}

impl Exchange {
    async fn print(&self, socket: &mut Socket, price: f64) {
        self.control.set_price(price).unwrap();
        assert_eq!(socket.push(LAST).await["lastPrice"], json!(price as i64));
    }

    async fn assert_balance(&self, sats: i64) {
        assert_eq!(self.get("/account").await.ok()["balance"], json!(sats));
    }

    async fn running(&self) -> Value {
        let running = self.get("/futures/isolated/trades/running").await.ok();
        assert_eq!(running.as_array().unwrap().len(), 1);
        running[0].clone()
    }
}

/// The exchange's margin ratio, from its own figures.
fn ratio(trade: &Value) -> f64 {
    let sats = |name: &str| trade[name].as_f64().unwrap();
    let reserve = sats("maintenanceMargin");
    reserve / (sats("margin") + reserve + sats("pl"))
}

fn near(value: f64, wanted: f64, digit: f64) -> bool {
    (value - wanted).abs() <= digit / 2.0
}

#[tokio::test]
async fn seven_steps_from_a_limit_order_to_its_stop() {
    let x = exchange_with(|config| config.cadence = Cadence::EveryTick).await;
    let mut socket = x.follow(&[LAST, TRADES]).await;
    x.print(&mut socket, 101_000.0).await;

    // 1: the order is placed, margin and reserves leave the balance.
    let order = json!({
        "type": "limit", "side": "buy", "price": 100_000, "quantity": 1000, "leverage": 10,
        "clientId": "g1",
    });
    let placed = x.post("/futures/isolated/trade", order).await.ok();
    assert_fields(
        &placed,
        json!({
            "type": "limit", "side": "buy", "quantity": 1000, "leverage": 10, "margin": 100_000,
            "maintenanceMargin": 2100, "price": 100_000, "entryPrice": 100_000,
            "entryMargin": 100_000, "exitPrice": null, "liquidation": 90_909, "stoploss": 0,
            "stoplossTrailingDistance": 0, "takeprofit": 0, "openingFee": 0, "closingFee": 0,
            "pl": 0, "sumFundingFees": 0, "sumCashInPl": 0, "sumCashInMargin": 0, "open": true,
            "running": false, "closed": false, "canceled": false, "filledAt": null,
            "closedAt": null, "clientId": "g1",
        }),
    );
    let id = placed["id"].clone();
    let told = socket.push(TRADES).await;
    assert_eq!(
        (&told["pair"], &told["event"]),
        (&json!("btc_usd"), &json!("open"))
    );
    assert_fields(
        &told["trade"],
        json!({
            "id": id, "side": "buy", "type": "limit", "quantity": 1000, "margin": 100_000,
            "leverage": 10, "price": 100_000, "openingFee": 0, "clientId": "g1",
        }),
    );
    x.assert_balance(397_900).await;

    // 2: the price touches it.
    x.print(&mut socket, 100_000.0).await;
    let told = socket.push(TRADES).await;
    assert_eq!(told["event"], json!("filled"));
    assert_fields(
        &told["trade"],
        json!({ "id": id, "openingFee": 1000, "type": "limit" }),
    );
    let trade = x.running().await;
    assert_fields(
        &trade,
        json!({ "running": true, "open": false, "openingFee": 1000, "maintenanceMargin": 1100 }),
    );
    assert!(trade["filledAt"].is_string());
    x.assert_balance(397_900).await;

    // 3: it falls.
    x.print(&mut socket, 95_000.0).await;
    let trade = x.running().await;
    assert_eq!(trade["pl"], json!(-52_632));
    assert!(near(ratio(&trade), 0.0227, 0.0001), "{}", ratio(&trade));
    let distance = (95_000.0 - trade["liquidation"].as_f64().unwrap()) / 95_000.0;
    assert!(near(distance, 0.0431, 0.0001), "{distance}");
    x.assert_balance(397_900).await;

    // 4: margin is added, and the stream says nothing of it.
    let body = json!({ "id": id, "amount": 76_471 });
    let trade = x
        .post("/futures/isolated/trade/add-margin", body)
        .await
        .ok();
    assert_fields(&trade, json!({ "margin": 176_471, "liquidation": 85_000 }));
    assert!(near(
        trade["leverage"].as_f64().unwrap(),
        5.666_653,
        0.000_001
    ));
    assert!(near(ratio(&trade), 0.0088, 0.0001), "{}", ratio(&trade));
    x.assert_balance(321_429).await;

    // 5: funding is settled.
    x.control.settle_funding(0.0001, 95_010.37).unwrap();
    let told = socket.push(TRADES).await;
    assert_eq!(told["event"], json!("funding"), "and nothing before it");
    assert_fields(
        &told["trade"],
        json!({
            "id": id, "margin": 176_366, "liquidationPrice": 85_007.5, "fundingFee": 105,
            "clientId": "g1",
        }),
    );
    let trade = x.running().await;
    assert_fields(
        &trade,
        json!({
            "margin": 176_366, "liquidation": 85_007.5, "sumFundingFees": 105,
            "leverage": 5.670_027_102_729_551,
        }),
    );
    x.assert_balance(321_429).await;
    let path = format!(
        "/futures/isolated/funding-fees?limit=1&tradeId={}",
        id.as_str().unwrap()
    );
    let fees = x.get(&path).await.ok();
    let settlements = x
        .plain("GET", "/v3/futures/funding-settlements?limit=1", None)
        .await
        .ok();
    assert_fields(&fees["data"][0], json!({ "tradeId": id, "fee": 105 }));
    assert_fields(
        &settlements["data"][0],
        json!({
            "id": fees["data"][0]["settlementId"], "fundingRate": 0.0001, "fixingPrice": 95_010.37,
        }),
    );

    // 6: a stop is set, and the stream says nothing of it.
    let body = json!({ "id": id, "value": 90_000 });
    let trade = x.put("/futures/isolated/trade/stoploss", body).await.ok();
    assert_fields(
        &trade,
        json!({ "stoploss": 90_000, "stoplossTrailingDistance": 0 }),
    );
    x.assert_balance(321_429).await;

    // 7: and hit.
    x.print(&mut socket, 90_000.0).await;
    let told = socket.push(TRADES).await;
    assert_eq!(told["event"], json!("stoploss"), "and nothing before it");
    assert_fields(
        &told["trade"],
        json!({
            "id": id, "pl": -111_111, "closingFee": 1111, "exitPrice": 90_000, "clientId": "g1",
        }),
    );
    let page = x.get("/futures/isolated/trades/closed?limit=1").await.ok();
    assert_fields(
        &page["data"][0],
        json!({
            "id": id, "closed": true, "running": false, "exitPrice": 90_000, "pl": -111_111,
            "closingFee": 1111, "maintenanceMargin": -11, "margin": 176_366,
            "sumFundingFees": 105, "entryMargin": 100_000, "liquidation": 85_007.5,
            "stoploss": 90_000,
        }),
    );
    x.assert_balance(500_000 - 1000 - 1111 - 105 - 111_111)
        .await;
    assert_eq!(x.control.account(KEY).unwrap().balance, 386_673);
}
