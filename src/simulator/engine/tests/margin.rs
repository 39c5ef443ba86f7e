//! Margin added, cashed in, and changed by funding.

use super::*;

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
