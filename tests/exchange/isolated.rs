//! Isolated trades, against the simulated exchange.

use vigia::domain::position::Side;
use vigia::domain::units::Sats;
use vigia::exchange::{Class, NewTrade, StopLoss};

use crate::stage::{QUANTITY, Stage, price};

#[tokio::test]
async fn a_trade_is_opened_with_a_fractional_leverage_and_its_stops() {
    let stage = Stage::set().await;
    let trade = NewTrade {
        stoploss: Some(StopLoss::Fixed(price(95_000.5))),
        takeprofit: Some(price(120_000.0)),
        ..NewTrade::market(Side::Buy, QUANTITY, 7.5, "ours")
    };
    let opened = stage.rest.open(&stage.who, &trade, stage.now());
    let opened = opened.await.unwrap();
    assert_eq!(opened.leverage, 7.5);
    assert_eq!(opened.stoploss, Some(price(95_000.5)));
    assert_eq!(opened.takeprofit, Some(price(120_000.0)));
    assert_eq!(opened.trailing_distance, None);
    assert_eq!(opened.client_id.as_deref(), Some("ours"));
    let running = stage.rest.running(&stage.who).await.unwrap();
    assert_eq!(running.whole().unwrap(), [opened]);
}

#[tokio::test]
async fn a_trade_may_be_opened_with_a_trailing_stop() {
    let stage = Stage::set().await;
    let trade = NewTrade {
        stoploss: Some(StopLoss::Trailing(0.02)),
        ..NewTrade::market(Side::Buy, QUANTITY, 10.0, "ours")
    };
    let opened = stage.rest.open(&stage.who, &trade, stage.now());
    let opened = opened.await.unwrap();
    assert_eq!(opened.trailing_distance, Some(0.02));
    assert_eq!(opened.stoploss, Some(price(98_000.0)));
}

#[tokio::test]
async fn stops_are_set_replaced_and_taken_away() {
    let stage = Stage::set().await;
    let (rest, who, now) = (&stage.rest, &stage.who, stage.now());
    let id = stage.buy("ours").await.id;
    let fixed = StopLoss::Fixed(price(95_000.0));
    let set = rest.set_stoploss(who, id, fixed, now).await.unwrap();
    assert_eq!(set.stoploss, Some(price(95_000.0)));
    let trailing = rest.set_stoploss(who, id, StopLoss::Trailing(0.05), now);
    assert_eq!(trailing.await.unwrap().trailing_distance, Some(0.05));
    let set = rest.set_takeprofit(who, id, price(110_000.5), now);
    assert_eq!(set.await.unwrap().takeprofit, Some(price(110_000.5)));
    let none = rest.remove_stoploss(who, id, now).await.unwrap();
    assert_eq!((none.stoploss, none.trailing_distance), (None, None));
    let none = rest.remove_takeprofit(who, id, now).await.unwrap();
    assert_eq!(none.takeprofit, None);
}

#[tokio::test]
async fn a_stop_that_cannot_be_or_is_set_already_is_refused() {
    let stage = Stage::set().await;
    let (rest, who, now) = (&stage.rest, &stage.who, stage.now());
    let id = stage.buy("ours").await.id;
    let beyond = StopLoss::Fixed(price(50_000.0));
    let error = rest.set_stoploss(who, id, beyond, now).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected, "{error}");
    let takeprofit = price(110_000.0);
    rest.set_takeprofit(who, id, takeprofit, now).await.unwrap();
    let again = rest.set_takeprofit(who, id, takeprofit, now).await;
    assert_eq!(again.unwrap_err().class, Class::Rejected);
}

#[tokio::test]
async fn open_orders_are_read_apart_from_running_trades() {
    let stage = Stage::set().await;
    stage.buy("runs").await;
    let order = serde_json::json!({
        "type": "limit", "side": "sell", "price": 110_000, "quantity": 10, "leverage": 2,
        "clientId": "waits",
    });
    stage.post("/futures/isolated/trade", &order).await;
    let open = stage.rest.open_orders(&stage.who).await.unwrap();
    let [order] = &open.orders[..] else {
        panic!("{open:?}")
    };
    assert_eq!(order.client_id.as_deref(), Some("waits"));
    assert_eq!((order.side, order.price), (Side::Sell, price(110_000.0)));
    let running = stage.rest.running(&stage.who).await.unwrap();
    assert_eq!(running.positions.len(), 1);
}

#[tokio::test]
async fn margin_is_added_and_a_trade_closed() {
    let stage = Stage::set().await;
    let (rest, who, now) = (&stage.rest, &stage.who, stage.now());
    let trade = stage.buy("ours").await;
    let added = rest.add_margin(who, trade.id, Sats(50_000), now).await;
    assert_eq!(added.unwrap().margin, Sats(150_000));
    let closed = rest.close(who, trade.id, now).await.unwrap();
    assert_eq!(closed.exit_price, Some(price(100_000.0)));
    let found = rest.closed(who, trade.id).await.unwrap();
    assert_eq!(found, Some(closed));
}
