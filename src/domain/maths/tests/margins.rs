//! Margin, leverage and liquidation price of isolated trades.

use super::*;

#[test]
fn liquidation_prices_by_leverage_are_those_of_the_sheet() {
    let table = [
        (1, 50_000.0, 100_000_000.0),
        (2, 66_666.5, 200_000.0),
        (3, 75_000.0, 150_000.0),
        (5, 83_333.5, 125_000.0),
        (10, 90_909.0, 111_111.0),
        (25, 96_154.0, 104_166.5),
        (50, 98_039.0, 102_041.0),
        (100, 99_010.0, 101_010.0),
    ];
    for (leverage, long, short) in table {
        let at = |side| Position::sample(side, 1000, 100_000.0, leverage).liquidation;
        assert_eq!(at(Side::Buy), price(long), "{leverage}x long");
        assert_eq!(at(Side::Sell), price(short), "{leverage}x short");
    }
    let odd = Position::sample(Side::Buy, 12_345, 60_000.5, 25);
    assert_eq!(
        (odd.margin, odd.liquidation),
        (Sats(822_993), price(57_693.0))
    );
    let short = Position::sample(Side::Sell, 2500, 64_000.5, 20);
    assert_eq!(
        (short.margin, short.liquidation),
        (Sats(195_310), price(67_369.0))
    );
    assert_eq!(pl(&short, price(65_000.0)), Sats(-60_066));
    assert_eq!(pl(&short, price(60_000.0)), Sats(260_447));
}

#[test]
fn margins_by_leverage_are_those_of_the_sheet() {
    let table = [
        (1.0, 1_000_000),
        (2.0, 500_000),
        (3.0, 333_333),
        (5.0, 200_000),
        (10.0, 100_000),
        (25.0, 40_000),
        (50.0, 20_000),
        (100.0, 10_000),
    ];
    for (times, expected) in table {
        let margin = isolated::margin(Usd(1000), price(100_000.0), times);
        assert_eq!(margin, Sats(expected), "{times}x");
        assert!((leverage(Usd(1000), price(100_000.0), margin) - times).abs() < 1e-4);
    }
}

#[test]
fn the_anchor_observed_at_the_exchange_is_met() {
    let (quantity, at) = (Usd(1), price(100_000.0));
    let margin = isolated::margin(quantity, at, 100.0);
    let quoted = liquidation(Side::Buy, quantity, at, margin);
    let reserve = Reserve::of(quantity, at, quoted);
    assert_eq!(
        (margin, quoted, reserve.of_order()),
        (Sats(10), price(99_010.0), Sats(2))
    );
}

#[test]
fn the_other_rounding_anchors_are_met() {
    let at = price(60_000.5);
    assert_eq!(isolated::margin(Usd(12_345), at, 25.0), Sats(822_993));
    assert_eq!(
        liquidation(Side::Sell, Usd(12_345), at, Sats(822_993)),
        price(62_500.5)
    );
    assert_eq!(trading_fee(Usd(12_345), at, FeeTier::One), Sats(20_574));
    let (quantity, at) = (Usd(2500), price(64_000.5));
    assert_eq!(trading_fee(quantity, at, FeeTier::One), Sats(3906));
    assert_eq!(trading_fee(quantity, at, FeeTier::Two), Sats(3124));
    let reserve = Reserve::of(quantity, at, price(67_369.0));
    assert_eq!(reserve.closing, Sats(3710));
    // Binary fractions make 599 of this.
    assert_eq!(
        trading_fee(Usd(1000), price(100_000.0), FeeTier::Four),
        Sats(600)
    );
}

#[test]
fn a_trade_sized_by_margin_is_that_of_the_sheet() {
    let at = price(67_000.5);
    let quantity = isolated::quantity(Sats(20_000), at, 10.0);
    assert_eq!(quantity, Usd(134));
    assert!((leverage(quantity, at, Sats(20_000)) - 9.999_93).abs() < 1e-5);
    let by_leverage = isolated::margin(quantity, at, 10.0);
    let quoted = |margin| liquidation(Side::Buy, quantity, at, margin);
    assert_eq!(quoted(by_leverage), price(60_910.0));
    assert_eq!(quoted(Sats(20_000)), price(60_909.5));
}

#[test]
fn the_margin_for_a_liquidation_price_is_that_of_the_sheet_on_both_sides() {
    let trade = example_a();
    let needed = |side, target| {
        isolated::margin_for_liquidation(side, trade.quantity, trade.price, price(target))
    };
    assert_eq!(needed(Side::Buy, 85_000.0) - trade.margin, Sats(76_471));
    let short = needed(Side::Sell, 120_000.0);
    assert_eq!(
        liquidation(Side::Sell, trade.quantity, trade.price, short),
        price(120_000.0)
    );
}
