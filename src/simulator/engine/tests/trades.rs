//! Trades: placed, filled, closed, canceled, refused.

use super::*;

#[test]
fn a_market_trade_and_its_profit() {
    let mut x = engine(100_000.0, 500_000);
    let t = x.place(KEY, order(Side::Buy, None), api(1)).unwrap();
    assert_eq!(
        (t.state, t.maintenance, balance(&x)),
        (TradeState::Running, 1100, 397_900)
    );
    x.tick(usd(110_000.0), 2);
    let t = x.close(KEY, t.id, api(3)).unwrap();
    assert_eq!(
        (t.realised, t.closing_fee, balance(&x)),
        (90_909, 909, 589_000)
    );
    assert_eq!(kinds(&mut x), [EventKind::Filled, EventKind::Closed]);
    assert!(matches!(
        x.close(KEY, t.id, api(4)),
        Err(Refusal::WrongState(..))
    ));
    assert_eq!(
        x.close(KEY, Uuid::nil(), api(4)),
        Err(Refusal::UnknownTrade)
    );
}

#[test]
fn a_limit_order_fills_by_touch_from_either_side() {
    for (side, limit, before, touch) in [
        (Side::Buy, 99_000.0, 99_000.5, 98_999.0),
        (Side::Sell, 99_000.0, 99_000.5, 98_999.0),
        (Side::Buy, 101_000.0, 100_999.5, 101_000.0),
    ] {
        let mut x = engine(100_000.0, 500_000);
        x.place(KEY, order(side, Some(limit)), api(1)).unwrap();
        x.tick(usd(before), 2);
        assert_eq!(live(&x).state, TradeState::Open, "{side:?} {limit}");
        x.tick(usd(touch), 3);
        assert_eq!(
            (live(&x).state, live(&x).price),
            (TradeState::Running, usd(limit))
        );
    }
}

#[test]
fn cancelling_gives_everything_back() {
    let mut x = engine(100_000.0, 500_000);
    for _ in 0..3 {
        x.place(KEY, order(Side::Buy, Some(90_000.0)), api(1))
            .unwrap();
    }
    let first = live(&x).id;
    x.cancel(KEY, first, api(2)).unwrap();
    assert_eq!(x.cancel_all(KEY, api(2)).unwrap().len(), 2);
    assert_eq!(balance(&x), 500_000);
    let ends: Vec<_> = x.accounts[KEY]
        .done
        .iter()
        .map(|trade| trade.closed_at)
        .collect();
    assert_eq!(
        ends,
        [Some(2), Some(3), Some(4)],
        "pages need distinct times"
    );
}

#[test]
fn the_fifty_first_trade_and_an_empty_balance_are_refused() {
    let mut x = engine(100_000.0, 50_000_000);
    for _ in 0..x.choices.max_live_trades {
        x.place(KEY, order(Side::Buy, None), api(1)).unwrap();
    }
    assert!(x.place(KEY, order(Side::Buy, None), api(1)).is_err());
    let mut x = engine(100_000.0, 102_099);
    assert!(x.place(KEY, order(Side::Buy, None), api(1)).is_err());
    assert_eq!((balance(&x), x.ledger.entries().len()), (102_099, 0));
}

#[test]
fn a_spread_is_paid_on_the_way_in_and_out() {
    let mut x = Engine::new(1, usd(100_000.0), usd(10.0));
    x.add_account(AccountConfig::new(KEY, "s", "p", 500_000));
    let t = x.place(KEY, order(Side::Buy, None), api(1)).unwrap();
    assert_eq!(t.price, usd(100_010.0));
    assert_eq!(
        x.close(KEY, t.id, api(2)).unwrap().exit_price,
        Some(usd(99_990.0))
    );
}
