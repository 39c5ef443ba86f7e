//! Every worked example of the exchange's maths that the engine's arithmetic must reproduce.
use super::*;

fn usd(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

fn liq(side: Side, quantity: i64, price: f64, leverage: f64) -> f64 {
    let margin = margin_of(quantity, usd(price), Nano::from_f64(leverage));
    liquidation(side, quantity, usd(price), margin).to_f64()
}

/// Reserves of an unfilled order: opening leg plus closing leg at the liquidation price.
fn open_reserves(side: Side, leverage: f64) -> i64 {
    let exit = usd(liq(side, 1000, 100_000.0, leverage));
    reserve(1000, usd(100_000.0)) + reserve(1000, exit)
}

#[test]
fn liquidation_and_reserves_by_leverage() {
    let table = [
        (1.0, 1_000_000, 50_000.0, 100_000_000.0, 3000, 1001),
        (2.0, 500_000, 66_666.5, 200_000.0, 2500, 1500),
        (3.0, 333_333, 75_000.0, 150_000.0, 2333, 1666),
        (5.0, 200_000, 83_333.5, 125_000.0, 2199, 1800),
        (10.0, 100_000, 90_909.0, 111_111.0, 2100, 1900),
        (25.0, 40_000, 96_154.0, 104_166.5, 2039, 1960),
        (50.0, 20_000, 98_039.0, 102_041.0, 2020, 1979),
        (100.0, 10_000, 99_010.0, 101_010.0, 2009, 1990),
    ];
    for (leverage, margin, long, short, mm_long, mm_short) in table {
        assert_eq!(
            margin_of(1000, usd(100_000.0), Nano::from_f64(leverage)),
            margin
        );
        assert_eq!(
            liq(Side::Buy, 1000, 100_000.0, leverage),
            long,
            "long {leverage}x"
        );
        assert_eq!(
            liq(Side::Sell, 1000, 100_000.0, leverage),
            short,
            "short {leverage}x"
        );
        assert_eq!(
            open_reserves(Side::Buy, leverage),
            mm_long,
            "long reserves {leverage}x"
        );
        assert_eq!(
            open_reserves(Side::Sell, leverage),
            mm_short,
            "short reserves {leverage}x"
        );
    }
}

#[test]
fn the_observed_one_dollar_order() {
    assert_eq!(margin_of(1, usd(100_000.0), Nano::from_f64(100.0)), 10);
    assert_eq!(liq(Side::Buy, 1, 100_000.0, 100.0), 99_010.0);
    assert_eq!(reserve(1, usd(100_000.0)) + reserve(1, usd(99_010.0)), 2);
}

#[test]
fn example_a_profit_fee_and_loss_at_liquidation() {
    let p = usd(100_000.0);
    assert_eq!(profit(Side::Buy, 1000, p, usd(110_000.0)), 90_909);
    assert_eq!(fee(1000, p, 0), 1000);
    assert_eq!(fee(1000, usd(110_000.0), 0), 909);
    assert_eq!(fee(1000, usd(90_909.0), 0), 1100);
    assert_eq!(profit(Side::Buy, 1000, p, usd(90_909.0)), -100_001);
    assert_eq!(reserve(1000, usd(111_111.0)), 900);
}

#[test]
fn fees_are_exact_where_binary_fractions_are_not() {
    assert_eq!(fee(1000, usd(100_000.0), 3), 600);
    assert_eq!(fee(1000, usd(100_000.0), 1), 800);
    assert_eq!(fee(1000, usd(100_000.0), 2), 700);
}

#[test]
fn profit_along_the_fall_of_example_a() {
    let table = [
        (98_000.0, -20_408),
        (96_000.0, -41_667),
        (95_000.0, -52_632),
        (94_000.0, -63_830),
        (93_000.0, -75_269),
        (92_000.0, -86_957),
        (91_500.0, -92_896),
        (91_200.0, -96_491),
        (91_000.0, -98_901),
        (90_950.0, -99_505),
        (90_909.5, -99_995),
    ];
    for (last, pl) in table {
        assert_eq!(
            profit(Side::Buy, 1000, usd(100_000.0), usd(last)),
            pl,
            "at {last}"
        );
    }
}

#[test]
fn rounding_anchors() {
    let p = usd(60_000.5);
    assert_eq!(margin_of(12_345, p, Nano::from_f64(25.0)), 822_993);
    assert_eq!(liq(Side::Buy, 12_345, 60_000.5, 25.0), 57_693.0);
    assert_eq!(liq(Side::Sell, 12_345, 60_000.5, 25.0), 62_500.5);
    assert_eq!(fee(12_345, p, 0), 20_574);

    let p = usd(64_000.5);
    assert_eq!(margin_of(2500, p, Nano::from_f64(20.0)), 195_310);
    assert_eq!(liq(Side::Sell, 2500, 64_000.5, 20.0), 67_369.0);
    assert_eq!((fee(2500, p, 0), fee(2500, p, 1)), (3906, 3124));
    assert_eq!(reserve(2500, usd(67_369.0)), 3710);
    assert_eq!(profit(Side::Sell, 2500, p, usd(65_000.0)), -60_066);
    assert_eq!(profit(Side::Sell, 2500, p, usd(60_000.0)), 260_447);
}

#[test]
fn a_margin_sized_trade_is_liquidated_by_its_leverage() {
    let (p, ten) = (usd(67_000.5), Nano::from_f64(10.0));
    let quantity = quantity_of(20_000, p, ten);
    assert_eq!(quantity, 134);
    assert!((leverage_of(quantity, 20_000, p) - 9.999_93).abs() < 1e-5);
    let economic = margin_of(quantity, p, ten);
    assert_eq!(
        liquidation(Side::Buy, quantity, p, economic).to_f64(),
        60_910.0
    );
    assert_eq!(
        liquidation(Side::Buy, quantity, p, 20_000).to_f64(),
        60_909.5
    );
}

#[test]
fn example_b_add_margin() {
    let p = usd(100_000.0);
    assert_eq!(max_margin(1000, p) - 100_000, 900_000);
    assert!((leverage_of(1000, 150_000, p) - 6.666_666_666_666_667).abs() < 1e-12);
    assert_eq!(liquidation(Side::Buy, 1000, p, 150_000).to_f64(), 86_956.5);
    assert_eq!(liquidation(Side::Buy, 1000, p, 176_471).to_f64(), 85_000.0);
}

#[test]
fn example_c_cash_in() {
    let p = usd(100_000.0);
    let moved = price_after_cash_in(Side::Buy, 1000, p, 40_000);
    assert_eq!(moved.to_f64(), 104_166.5);
    assert!((leverage_of(1000, 100_000, moved) - 9.600_015).abs() < 1e-6);
    assert_eq!(
        liquidation(Side::Buy, 1000, moved, 100_000).to_f64(),
        94_339.5
    );
    assert_eq!(profit(Side::Buy, 1000, moved, usd(110_000.0)), 50_911);
    let market = usd(110_000.0);
    assert_eq!(
        liquidation(Side::Buy, 1000, market, 100_000).to_f64(),
        99_099.0
    );
    assert_eq!(
        liquidation(Side::Buy, 1000, market, 40_909).to_f64(),
        105_263.0
    );
    assert!((leverage_of(1000, 40_909, market) - 22.222_272).abs() < 1e-6);
    assert_eq!(liquidation(Side::Buy, 1000, p, 60_000).to_f64(), 94_339.5);
}

#[test]
fn example_d_funding() {
    let rate = Nano::from_f64(0.0001);
    assert_eq!(funding(Side::Buy, 1000, usd(100_500.0), rate), 100);
    assert_eq!(funding(Side::Sell, 1000, usd(100_500.0), rate), -100);
    assert_eq!(
        liquidation(Side::Buy, 1000, usd(100_000.0), 99_900).to_f64(),
        90_917.5
    );
    assert!((leverage_of(1000, 99_900, usd(100_000.0)) - 10.010_01).abs() < 1e-5);
    assert_eq!(funding(Side::Buy, 10, usd(30_000.0), rate), 3);
    assert_eq!(funding(Side::Buy, 10_000, usd(60_000.0), rate), 1667);
    assert_eq!(funding(Side::Buy, 1000, usd(95_010.37), rate), 105);
}

#[test]
fn rounding_is_half_up_also_below_zero() {
    assert_eq!(round_half_up(5, 2), 3);
    assert_eq!(round_half_up(-5, 2), -2);
    assert_eq!(round_half_up(-7, 4), -2);
}

#[test]
fn trailing_stops_round_away_from_the_market() {
    let d = Nano::from_f64(0.02);
    let stops = [
        (100_000.0, 98_000.0),
        (101_000.0, 98_980.0),
        (103_000.0, 100_940.0),
    ];
    for (best, stop) in stops {
        assert_eq!(trailing_stop(Side::Buy, usd(best), d).to_f64(), stop);
    }
    assert_eq!(
        trailing_stop(Side::Buy, usd(100_000.5), d).to_f64(),
        98_000.0
    );
    assert_eq!(
        trailing_stop(Side::Sell, usd(100_000.5), d).to_f64(),
        102_001.0
    );
    assert_eq!(
        trailing_stop(Side::Buy, usd(100_000.0), Nano::from_f64(1.0)),
        Price::ZERO
    );
}

#[test]
fn prices_outside_the_exchange_are_refused() {
    for bad in [0.0, 0.5, -1.0, 1e9, f64::NAN, f64::INFINITY] {
        assert_eq!(Price::from_f64(bad), None, "{bad}");
    }
    assert_eq!(usd(100.3).to_tick(), Price::from_cents(10_050));
    assert!(usd(100.5).on_tick() && !usd(100.3).on_tick());
}
