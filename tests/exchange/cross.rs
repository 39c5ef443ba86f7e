//! The cross account, against the simulated exchange.

use serde_json::json;
use vigia::domain::position::{MarginMode, Side};
use vigia::domain::units::{Sats, Usd};
use vigia::exchange::{Class, CrossOrder, NewCrossOrder, Rest};

use crate::stage::{Stage, price};

const DEPOSIT: Sats = Sats(1_000_000);
const OPEN: &str = "GET /futures/cross/orders/open";
const FILLED: &str = "GET /futures/cross/orders/filled";

async fn order(stage: &Stage, side: Side, quantity: i64, client_id: &str) -> CrossOrder {
    let order = NewCrossOrder {
        side,
        quantity: Usd(quantity),
        client_id: client_id.to_owned(),
    };
    let sent = stage
        .rest
        .cross_order(&stage.who, &order, stage.now())
        .await;
    sent.unwrap()
}

/// A stage whose cross account holds [`DEPOSIT`] at a leverage of 10.
async fn funded() -> Stage {
    let stage = Stage::set().await;
    let (rest, who) = (&stage.rest, &stage.who);
    let held = rest.cross_deposit(who, DEPOSIT, stage.now()).await.unwrap();
    assert_eq!((held.margin, held.position), (DEPOSIT, None));
    let set = rest.cross_leverage(who, 10, stage.now()).await.unwrap();
    assert_eq!(set.leverage, 10);
    stage
}

#[tokio::test]
async fn a_position_is_built_flipped_and_closed() {
    let stage = funded().await;
    let (rest, who) = (&stage.rest, &stage.who);
    let bought = order(&stage, Side::Buy, 2000, "first").await;
    assert_eq!(bought.price, Some(price(100_000.0)));
    assert_eq!(bought.trading_fee, Sats(2000));
    let read = rest.cross_position(who).await.unwrap();
    let long = read.position.unwrap();
    assert_eq!(long.mode, MarginMode::Cross);
    assert_eq!((long.side, long.quantity), (Side::Buy, Usd(2000)));
    assert_eq!((long.margin, long.leverage), (Sats(998_000), 10.0));
    assert_eq!(long.maintenance_margin, Sats(3000));
    assert_eq!(long.entry_price, price(100_000.0));
    assert!(long.liquidation < long.entry_price);

    order(&stage, Side::Sell, 3000, "second").await;
    let flipped = rest.cross_position(who).await.unwrap().position.unwrap();
    assert_eq!((flipped.side, flipped.quantity), (Side::Sell, Usd(1000)));
    assert!(flipped.liquidation > flipped.entry_price);
    assert_eq!(flipped.id, long.id, "it is the account's one position");

    let closed = rest.cross_close(who, stage.now()).await.unwrap();
    assert_eq!((closed.side, closed.quantity), (Side::Buy, Usd(1000)));
    assert_eq!(rest.cross_position(who).await.unwrap().position, None);
    let again = rest.cross_close(who, stage.now()).await.unwrap_err();
    assert_eq!(again.class, Class::Rejected, "{again}");
}

#[tokio::test]
async fn an_order_is_found_by_its_client_id_while_it_waits_and_once_it_is_filled() {
    let stage = funded().await;
    let limit = json!({
        "type": "limit", "side": "sell", "quantity": 10, "price": 101_000, "clientId": "waits",
    });
    stage.post("/futures/cross/order", &limit).await;
    order(&stage, Side::Buy, 20, "filled").await;
    let at = stage.now() - chrono::Duration::seconds(5);
    let find = |client_id| {
        stage
            .rest
            .cross_order_by_client_id(&stage.who, client_id, at)
    };
    let waiting = find("waits").await.unwrap().unwrap();
    assert!(!waiting.filled && !waiting.canceled);
    assert_eq!((stage.asked(OPEN), stage.asked(FILLED)), (1, 0));
    let filled = find("filled").await.unwrap().unwrap();
    assert!(filled.filled && filled.quantity == Usd(20));
    stage.control.set_price(101_000.0).unwrap();
    assert!(find("waits").await.unwrap().unwrap().filled);
    let before = stage.asked(OPEN) + stage.asked(FILLED);
    assert_eq!(find("nobody's").await.unwrap(), None);
    let asked = stage.asked(OPEN) + stage.asked(FILLED) - before;
    assert_eq!(asked, Rest::CROSS_LOOKUP as u64);
}

#[tokio::test]
async fn deposits_and_withdrawals_are_told_with_their_signs() {
    let stage = Stage::set().await;
    let (rest, who) = (&stage.rest, &stage.who);
    let since = stage.now() - chrono::Duration::seconds(5);
    rest.cross_deposit(who, DEPOSIT, stage.now()).await.unwrap();
    let withdrawal = json!({ "amount": 400_000 });
    stage.post("/futures/cross/withdraw", &withdrawal).await;
    let transfers = rest.cross_transfers_since(who, since).await.unwrap();
    let amounts: Vec<_> = transfers.iter().map(|transfer| transfer.amount).collect();
    assert_eq!(amounts, [Sats(-400_000), DEPOSIT]);
    let later = stage.now() + chrono::Duration::seconds(5);
    let none = rest.cross_transfers_since(who, later).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn what_the_account_cannot_bear_is_refused() {
    let stage = funded().await;
    let (rest, who) = (&stage.rest, &stage.who);
    let too_much = Sats(i64::from(i32::MAX));
    let deposit = rest.cross_deposit(who, too_much, stage.now()).await;
    assert_eq!(deposit.unwrap_err().class, Class::Rejected);
    let leverage = rest.cross_leverage(who, 101, stage.now()).await;
    assert_eq!(leverage.unwrap_err().class, Class::Rejected);
}

#[tokio::test]
async fn a_key_without_the_right_to_cross_trades_on_without() {
    let rights = [
        "account:read",
        "futures:isolated:read",
        "futures:isolated:write",
    ];
    let stage = Stage::with_rights(&rights).await;
    let (rest, who) = (&stage.rest, &stage.who);
    let read = rest.cross_position(who).await.unwrap_err();
    assert_eq!(read.class, Class::ScopeMissing, "{read}");
    let deposit = rest.cross_deposit(who, DEPOSIT, stage.now()).await;
    assert_eq!(deposit.unwrap_err().class, Class::ScopeMissing);
    stage.buy("ours").await;
    assert_eq!(rest.running(who).await.unwrap().positions.len(), 1);
}
