//! What concerns everybody: funding of the tape, candles, announcements, fee tiers, the wallet.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::{Value, json};
use vigia::simulator::{AccountConfig, Candle, Speed, Tape};

use crate::client::{KEY, PHRASE, SECRET, exchange, exchange_with};
use crate::socket::TRADES;

const HOUR: i64 = 3_600_000;

/// Hourly candles of one price, from two hours before midnight on.
fn hours(number: i64) -> Tape {
    let candle = |hour: i64| Candle {
        time: (22 + hour) * HOUR,
        open: 100_000.0,
        high: 100_000.0,
        low: 100_000.0,
        close: 100_000.0,
    };
    Tape::Candles((0..number).map(candle).collect())
}

#[tokio::test]
async fn the_tape_settles_at_midnight_eight_and_four() {
    let x = exchange_with(|config| {
        // 22:00 to 20:00 of the next day.
        config.tape = hours(22);
        config.speed = Speed::Max;
        config.start_paused = true;
        config.accounts[0].cross_margin_sats = 200_000;
    })
    .await;
    x.control.set_price(100_000.0).unwrap();
    x.control.set_funding_rate(-0.0002);
    x.buy().await;
    let body = json!({ "type": "market", "side": "sell", "quantity": 100 });
    x.post("/futures/cross/order", body).await.ok();
    let position = "futures/inverse/btc_usd/cross/position";
    let mut socket = x
        .follow(&[TRADES, position, "futures/inverse/btc_usd/funding"])
        .await;
    x.control.start_tape();
    x.control.tape_finished().await;
    let settlements = x
        .plain("GET", "/v3/futures/funding-settlements", None)
        .await
        .ok();
    let settled = settlements["data"].as_array().unwrap();
    assert_eq!(settled.len(), 3, "{settlements}");
    assert!(
        settled
            .iter()
            .all(|one| one["fundingRate"] == json!(-0.0002))
    );
    for path in ["isolated/funding-fees", "cross/funding-fees"] {
        let fees = x.get(&format!("/futures/{path}")).await.ok();
        let fees: Vec<Value> = fees["data"].as_array().unwrap().clone();
        // The short pays when the rate is negative.
        let fee = if path.starts_with("cross") { 20 } else { -200 };
        assert_eq!(fees.len(), 3, "{path}");
        for (fees, settled) in fees.iter().zip(settled) {
            assert_eq!(fees["fee"], json!(fee), "{path}");
            assert_eq!(fees["settlementId"], settled["id"], "{path}");
        }
    }
    for _ in 0..3 {
        assert_eq!(socket.push(TRADES).await["event"], json!("funding"));
        assert_eq!(socket.push(position).await["event"], json!("funding"));
        let told = socket.push("futures/inverse/btc_usd/funding").await;
        assert_eq!(told["current"]["rate"], json!(-0.0002));
    }
}

#[tokio::test]
async fn the_next_settlement_follows_the_pace_of_the_tape() {
    let x = exchange_with(|config| {
        config.tape = hours(22);
        // Two hours until midnight last 7.2 s, the 15 minutes before the first price 0.9 s.
        config.speed = Speed::Times(1000.0);
        config.start_paused = true;
    })
    .await;
    let left = || async {
        let ticker = x.plain("GET", "/v3/futures/ticker", None).await.ok();
        let time = |name: &str| {
            ticker[name]
                .as_str()
                .unwrap()
                .parse::<DateTime<Utc>>()
                .unwrap()
        };
        (time("fundingTime") - time("time"), time("fundingTime"))
    };
    let (of_the_clock, at) = left().await;
    assert!(of_the_clock <= TimeDelta::hours(8) && at.hour() % 8 == 0);
    x.control.start_tape();
    x.until(|x| x.control.ticks() > 0).await;
    let (of_the_tape, _) = left().await;
    assert!(of_the_tape <= TimeDelta::milliseconds(7200) && of_the_tape > TimeDelta::zero());
}

#[tokio::test]
async fn candles_are_made_of_the_prices() {
    let x = exchange().await;
    let none = x
        .plain("GET", "/v3/futures/candles?range=1h", None)
        .await
        .ok();
    assert_eq!(none, json!({ "data": [], "nextCursor": null }));
    for price in [100_000.0, 101_000.0, 99_000.0, 99_500.5] {
        x.control.set_price(price).unwrap();
    }
    let page = x
        .plain("GET", "/v3/futures/candles?range=1w&limit=1", None)
        .await
        .ok();
    let candle = &page["data"][0];
    assert_eq!(
        (&candle["open"], &candle["close"]),
        (&json!(100_000), &json!(99_500.5))
    );
    assert_eq!(
        (&candle["high"], &candle["low"]),
        (&json!(101_000), &json!(99_000))
    );
    assert_eq!(candle["volume"], json!(4));
    assert!(candle["time"].is_string());
    let bad = x.plain("GET", "/v3/futures/candles?range=2m", None).await;
    assert_eq!(
        (bad.status, &bad.json()["details"]["field"]),
        (400, &json!("range"))
    );
}

#[tokio::test]
async fn a_fee_tier_is_reached_by_volume() {
    let x = exchange_with(|config| {
        config.accounts = vec![AccountConfig::new(KEY, SECRET, PHRASE, 10_000_000_000)];
    })
    .await;
    let body = json!({ "type": "market", "side": "buy", "quantity": 250_000, "leverage": 10 });
    for (fee, tier) in [(250_000, 0), (250_000, 1), (200_000, 1)] {
        let trade = x.post("/futures/isolated/trade", body.clone()).await.ok();
        assert_eq!(trade["openingFee"], json!(fee));
        assert_eq!(x.get("/account").await.ok()["feeTier"], json!(tier));
    }
    // The reserves are at the first tier's rate whatever the tier is.
    let trade = x.post("/futures/isolated/trade", body).await.ok();
    assert_eq!(
        trade["maintenanceMargin"],
        json!(250_000 + 275_000 - 200_000)
    );
}

#[tokio::test]
async fn announcements_and_payments_are_told() {
    let scopes = [
        "account:read",
        "account:deposits:read",
        "account:withdrawals:read",
    ];
    let account = AccountConfig::new(KEY, SECRET, PHRASE, 100).with_permissions(&scopes);
    let x = exchange_with(|config| config.accounts = vec![account]).await;
    let mut socket = x
        .follow(&["announcements", "wallet/deposit", "wallet/withdrawal"])
        .await;
    x.control.announce("a1", "Maintenance", "At noon", None);
    x.control.withdraw_announcement("a1");
    let told = socket.push("announcements").await;
    let wanted = json!({ "id": "a1", "title": "Maintenance", "message": "At noon", "link": null });
    assert_eq!(told, wanted);
    assert_eq!(socket.push("announcements").await, json!({ "id": "a1" }));

    assert!(x.control.pay_in(KEY, 50) && x.control.pay_out(KEY, 30));
    assert!(!x.control.pay_out(KEY, 121) && !x.control.pay_in("nobody", 1));
    let told = socket.push("wallet/deposit").await;
    assert_eq!(
        (&told["amount"], &told["balance"]),
        (&json!(50), &json!(150))
    );
    let told = socket.push("wallet/withdrawal").await;
    assert_eq!((&told["amount"], &told["fee"]), (&json!(30), &json!(0)));
    assert_eq!(x.balance(), 120);
}

#[tokio::test]
async fn wallet_lists_are_empty_and_nothing_leaves() {
    let scopes = [
        "account:deposits:read",
        "account:deposits:write",
        "account:withdrawals:read",
        "account:withdrawals:write",
        "account:notifications:read",
        "account:notifications:write",
        "synthetic-usd:read",
        "synthetic-usd:write",
    ];
    let account = AccountConfig::new(KEY, SECRET, PHRASE, 100).with_permissions(&scopes);
    let x = exchange_with(|config| config.accounts = vec![account]).await;
    for path in [
        "/account/deposits/lightning",
        "/account/deposits/on-chain",
        "/account/withdrawals/lightning",
        "/account/withdrawals/on-chain",
        "/account/notifications",
        "/synthetic-usd/swaps",
    ] {
        let page = x.get(&format!("{path}?limit=5")).await.ok();
        assert_eq!(page, json!({ "data": [], "nextCursor": null }), "{path}");
    }
    for (path, message) in [
        (
            "/account/withdraw/lightning",
            "Send a correct BOLT 11 invoice",
        ),
        ("/account/withdraw/on-chain", "Invalid address"),
        ("/synthetic-usd/swap", "synthetic dollars are not simulated"),
    ] {
        let answer = x.post(path, json!({})).await;
        assert_eq!(answer.code(), (400, "BAD_REQUEST".to_owned()), "{path}");
        assert_eq!(answer.json()["message"], json!(message));
    }
    let address = x.get("/account/address/bitcoin").await.ok();
    assert_eq!(x.get("/account/address/bitcoin").await.ok(), address);
    let format = json!({ "format": "p2wpkh" });
    let new = x.post("/account/address/bitcoin", format).await.ok();
    assert!(new["createdAt"].is_string() && new["address"] != address["address"]);
    let deposit = json!({ "amount": 1000 });
    let invoice = x.post("/account/deposit/lightning", deposit).await.ok();
    assert!(
        invoice["paymentRequest"]
            .as_str()
            .unwrap()
            .starts_with("ln")
    );
    assert!(invoice["depositId"].is_string());
    assert_eq!(x.balance(), 100, "nothing of it is money");
}
