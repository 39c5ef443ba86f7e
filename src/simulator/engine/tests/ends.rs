//! Liquidation, stop-loss, take-profit: which comes first and what it costs.

use super::*;

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
