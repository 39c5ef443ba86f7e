//! Fees, reserves and funding.

use super::*;

#[test]
fn reserves_by_leverage_are_those_of_the_sheet() {
    let table = [
        (1, 3000, 1001),
        (2, 2500, 1500),
        (3, 2333, 1666),
        (5, 2199, 1800),
        (10, 2100, 1900),
        (25, 2039, 1960),
        (50, 2020, 1979),
        (100, 2009, 1990),
    ];
    for (leverage, long, short) in table {
        let open = |side| {
            let trade = Position::sample(side, 1000, 100_000.0, leverage);
            Reserve::of(trade.quantity, trade.price, trade.liquidation).of_order()
        };
        assert_eq!(open(Side::Buy), Sats(long), "{leverage}x long");
        assert_eq!(open(Side::Sell), Sats(short), "{leverage}x short");
    }
}

#[test]
fn fees_fall_by_tier() {
    let fees = FeeTier::ALL.map(|tier| trading_fee(Usd(1000), price(100_000.0), tier).0);
    assert_eq!(fees, [1000, 800, 700, 600]);
}

#[test]
fn funding_is_that_of_the_examples() {
    let fee = |side, quantity, fixing, rate| funding::fee(side, Usd(quantity), price(fixing), rate);
    assert_eq!(fee(Side::Buy, 1000, 100_500.0, 0.0001), Sats(100));
    assert_eq!(fee(Side::Sell, 1000, 100_500.0, 0.0001), Sats(-100));
    assert_eq!(fee(Side::Buy, 1000, 100_500.0, -0.0001), Sats(-100));
    assert_eq!(fee(Side::Buy, 10, 30_000.0, 0.0001), Sats(3));
    assert_eq!(fee(Side::Buy, 10_000, 60_000.0, 0.0001), Sats(1667));
    // Example D: a cost is taken from the margin, what is received is not added to it.
    let paid = funding::settled(&example_a(), Sats(100));
    assert_eq!(
        (paid.margin, paid.liquidation),
        (Sats(99_900), price(90_917.5))
    );
    assert!((paid.leverage - 10.010_01).abs() < 1e-5);
    let received = funding::settled(&example_a(), Sats(-100));
    assert_eq!(received.margin, Sats(100_000));
    assert_eq!(received.sum_funding_fees, Sats(-100));
}
