//! The golden scenario, from the order to the stop.

use super::*;

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
