//! The engine, driven directly: the golden scenario and the rules around it.
use super::*;
use crate::simulator::money::Side;
use crate::simulator::trade::TradeState;

const KEY: &str = "k";

fn usd(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

fn engine(last: f64, balance: i64) -> Engine {
    let mut engine = Engine::new(1, usd(last), Price::ZERO);
    engine.add_account(AccountConfig::new(KEY, "s", "p", balance));
    engine
}

fn api(now: i64) -> Cause {
    Cause {
        now,
        request_timestamp: Some(now),
    }
}

fn order(side: Side, limit: Option<f64>) -> NewTrade {
    NewTrade {
        side,
        limit: limit.map(usd),
        size: Size::Quantity(1000),
        leverage: 10.0,
        stop: Stop::None,
        takeprofit: Price::ZERO,
        client_id: Some("g1".into()),
    }
}

fn balance(engine: &Engine) -> i64 {
    engine.accounts[KEY].balance
}

fn live(engine: &Engine) -> &Trade {
    &engine.accounts[KEY].live[0]
}

fn done(engine: &Engine) -> &Trade {
    engine.accounts[KEY].done.last().unwrap()
}

fn kinds(engine: &mut Engine) -> Vec<EventKind> {
    engine
        .take_events()
        .into_iter()
        .filter_map(|event| match event.news {
            News::Trade(kind, _) => Some(kind),
            _ => None,
        })
        .collect()
}

#[test]
fn the_golden_scenario() {
    let mut x = engine(101_000.0, 500_000);
    let t = x
        .place(KEY, order(Side::Buy, Some(100_000.0)), api(1))
        .unwrap();
    assert_eq!(
        (t.state, t.margin, t.maintenance),
        (TradeState::Open, 100_000, 2100)
    );
    assert_eq!(
        (t.liquidation, t.opening_fee, t.pl_at(x.last)),
        (usd(90_909.0), 0, 0)
    );
    assert_eq!(balance(&x), 397_900);
    assert_eq!(kinds(&mut x), [EventKind::Open]);

    x.tick(usd(100_000.0), 2);
    let id = t.id;
    let t = live(&x);
    assert_eq!(
        (t.state, t.opening_fee, t.maintenance),
        (TradeState::Running, 1000, 1100)
    );
    assert_eq!((t.filled_at, balance(&x)), (Some(2), 397_900));
    assert_eq!(kinds(&mut x), [EventKind::Filled]);

    x.tick(usd(95_000.0), 3);
    assert_eq!(live(&x).pl_at(x.last), -52_632);

    let t = x.add_margin(KEY, id, 76_471, api(4)).unwrap();
    assert_eq!((t.margin, t.liquidation), (176_471, usd(85_000.0)));
    assert!((t.leverage - 5.666_653).abs() < 1e-6);
    assert_eq!(balance(&x), 321_429);
    assert_eq!(kinds(&mut x), []);

    x.settle_funding(0.0001, usd(95_010.37), 5);
    let t = live(&x);
    assert_eq!(
        (t.margin, t.liquidation, t.sum_funding_fees),
        (176_366, usd(85_007.5), 105)
    );
    assert_eq!(t.leverage, 5.670_027_102_729_551);
    assert_eq!(kinds(&mut x), [EventKind::Funding { fee: 105, at: 5 }]);

    let t = x
        .set_stoploss(KEY, id, Stop::Fixed(usd(90_000.0)), api(6))
        .unwrap();
    assert_eq!(t.stoploss, usd(90_000.0));
    assert_eq!(kinds(&mut x), []);

    x.tick(usd(90_000.0), 7);
    let t = done(&x);
    assert_eq!(
        (t.realised, t.closing_fee, t.maintenance),
        (-111_111, 1111, -11)
    );
    assert_eq!(
        (t.exit_price, t.state),
        (Some(usd(90_000.0)), TradeState::Closed)
    );
    assert_eq!(balance(&x), 386_673);
    assert_eq!(kinds(&mut x), [EventKind::Stoploss]);
    let kinds: Vec<_> = x.ledger.entries().iter().map(|entry| entry.kind).collect();
    use LedgerKind::*;
    assert_eq!(
        kinds,
        [
            Opened,
            Filled,
            MarginAdded,
            Funding,
            StoplossSet,
            StoplossHit
        ]
    );
}

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
fn liquidation_loses_the_margin_and_the_reserve_and_no_more() {
    let mut x = engine(100_000.0, 500_000);
    x.place(KEY, order(Side::Buy, None), api(1)).unwrap();
    x.tick(usd(90_909.5), 2);
    assert_eq!(live(&x).state, TradeState::Running);
    x.tick(usd(80_000.0), 3);
    let t = done(&x);
    assert_eq!((t.realised, t.closing_fee), (-100_000, 1100));
    assert_eq!((t.exit_price, balance(&x)), (Some(usd(90_909.0)), 397_900));
    assert_eq!(kinds(&mut x), [EventKind::Filled, EventKind::Liquidation]);
}

#[test]
fn a_short_at_one_is_never_liquidated() {
    let mut x = engine(100_000.0, 5_000_000);
    x.place(
        KEY,
        NewTrade {
            leverage: 1.0,
            ..order(Side::Sell, None)
        },
        api(1),
    )
    .unwrap();
    x.tick(Price::MAX, 2);
    assert_eq!(live(&x).state, TradeState::Running);
}

#[test]
fn liquidation_goes_before_the_stop_and_the_stop_before_the_profit() {
    let mut x = engine(100_000.0, 500_000);
    let stop = Stop::Fixed(usd(95_000.0));
    x.place(
        KEY,
        NewTrade {
            stop,
            ..order(Side::Buy, None)
        },
        api(1),
    )
    .unwrap();
    x.tick(usd(90_000.0), 2);
    assert_eq!(kinds(&mut x), [EventKind::Filled, EventKind::Liquidation]);
    x.place(
        KEY,
        NewTrade {
            takeprofit: usd(95_000.0),
            ..order(Side::Buy, None)
        },
        api(3),
    )
    .unwrap();
    x.tick(usd(96_000.0), 4);
    assert_eq!(done(&x).exit_price, Some(usd(95_000.0)));
    assert_eq!(kinds(&mut x), [EventKind::Filled, EventKind::Takeprofit]);
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
fn cash_in_takes_profit_first_then_margin() {
    for (market, amount, price, margin, from_pl) in [
        (110_000.0, 40_000, 104_166.5, 100_000, 40_000),
        (110_000.0, 90_909, 110_000.0, 100_000, 90_909),
        (110_000.0, 150_000, 110_000.0, 40_909, 90_909),
        (98_000.0, 40_000, 100_000.0, 60_000, 0),
    ] {
        let mut x = engine(100_000.0, 500_000);
        let id = x.place(KEY, order(Side::Buy, None), api(1)).unwrap().id;
        x.tick(usd(market), 2);
        let t = x.cash_in(KEY, id, amount, api(3)).unwrap();
        assert_eq!(
            (t.price, t.margin, t.sum_cash_in_pl),
            (usd(price), margin, from_pl)
        );
        assert_eq!(t.sum_cash_in_margin, amount - from_pl);
        assert_eq!(
            (t.entry_price, balance(&x)),
            (usd(100_000.0), 397_900 + amount)
        );
    }
}

#[test]
fn cash_in_drops_a_stop_that_falls_behind_liquidation() {
    let mut x = engine(100_000.0, 500_000);
    let stop = Stop::Fixed(usd(92_000.0));
    let id = x
        .place(
            KEY,
            NewTrade {
                stop,
                ..order(Side::Buy, None)
            },
            api(1),
        )
        .unwrap()
        .id;
    let t = x.cash_in(KEY, id, 40_000, api(2)).unwrap();
    assert_eq!((t.liquidation, t.stoploss), (usd(94_339.5), Price::ZERO));
    assert!(x.cash_in(KEY, id, 55_000, api(3)).is_err(), "over 100x");
}

#[test]
fn margin_is_bounded_by_leverage_one_and_by_the_balance() {
    let mut x = engine(100_000.0, 1_100_000);
    let id = x.place(KEY, order(Side::Buy, None), api(1)).unwrap().id;
    assert!(x.add_margin(KEY, id, 900_001, api(2)).is_err());
    assert!(x.add_margin(KEY, id, 0, api(2)).is_err());
    assert_eq!(
        x.add_margin(KEY, id, 900_000, api(2)).unwrap().leverage,
        1.0
    );
    let mut x = engine(100_000.0, 200_000);
    let id = x.place(KEY, order(Side::Buy, None), api(1)).unwrap().id;
    assert!(x.add_margin(KEY, id, 97_901, api(2)).is_err());
    assert!(x.add_margin(KEY, id, 97_900, api(2)).is_ok());
    assert_eq!(balance(&x), 0);
}

#[test]
fn stops_are_refused_on_the_wrong_side_and_when_unchanged() {
    let mut x = engine(100_000.0, 500_000);
    let id = x.place(KEY, order(Side::Buy, None), api(1)).unwrap().id;
    for bad in [100_000.0, 90_908.5] {
        assert!(
            x.set_stoploss(KEY, id, Stop::Fixed(usd(bad)), api(2))
                .is_err(),
            "{bad}"
        );
    }
    let stop = Stop::Fixed(usd(95_000.0));
    assert!(x.set_stoploss(KEY, id, stop, api(2)).is_ok());
    assert!(x.set_stoploss(KEY, id, stop, api(2)).is_err(), "same value");
    assert!(x.set_takeprofit(KEY, id, usd(100_000.0), api(2)).is_err());
    assert!(x.set_takeprofit(KEY, id, usd(101_000.0), api(2)).is_ok());
    assert_eq!(
        x.set_stoploss(KEY, id, Stop::None, api(2))
            .unwrap()
            .stoploss,
        Price::ZERO
    );
}

#[test]
fn a_trailing_stop_follows_and_never_loosens() {
    let mut x = engine(100_000.0, 500_000);
    let id = x.place(KEY, order(Side::Buy, None), api(1)).unwrap().id;
    let t = x
        .set_stoploss(KEY, id, Stop::Trailing(0.02), api(2))
        .unwrap();
    assert_eq!(t.stoploss, usd(98_000.0));
    for (last, stop) in [
        (101_000.0, 98_980.0),
        (103_000.0, 100_940.0),
        (102_000.0, 100_940.0),
    ] {
        x.tick(usd(last), 3);
        assert_eq!(live(&x).stoploss, usd(stop), "at {last}");
    }
    x.tick(usd(100_940.0), 4);
    assert_eq!(done(&x).exit_price, Some(usd(100_940.0)));
}

#[test]
fn funding_revenue_goes_to_the_balance() {
    let mut x = engine(100_000.0, 500_000);
    x.place(KEY, order(Side::Sell, None), api(1)).unwrap();
    let before = balance(&x);
    x.settle_funding(0.0001, usd(100_500.0), 2);
    assert_eq!(
        (live(&x).margin, live(&x).sum_funding_fees),
        (100_000, -100)
    );
    assert_eq!(balance(&x), before + 100);
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
