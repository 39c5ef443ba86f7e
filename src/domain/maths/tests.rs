//! Every worked example and anchor of the protocol sheet, sections 4 and 9.

use super::cash_in::{CashInRefused, cashed_in};
use super::cross::{CrossAccount, Exposure};
use super::fees::{FeeTier, Reserve, credit, trading_fee};
use super::*;
use crate::domain::position::{Position, Side};

fn price(usd: f64) -> Price {
    Price::from_usd(usd).unwrap()
}

/// Example A of the protocol sheet: long 1000 USD at 100,000, 10x, tier 1.
fn example_a() -> Position {
    Position::sample(Side::Buy, 1000, 100_000.0, 10)
}

#[test]
fn example_a_has_the_margin_and_liquidation_of_the_sheet() {
    let trade = example_a();
    assert_eq!(trade.margin, Sats(100_000));
    assert_eq!(trade.liquidation, price(90_909.0));
    assert_eq!(trade.maintenance_margin, Sats(1100));
    assert_eq!(pl(&trade, price(110_000.0)), Sats(90_909));
    assert_eq!(pl(&trade, price(90_909.0)), Sats(-100_001));
}

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
fn the_three_metrics_follow_the_table_of_the_sheet() {
    let trade = example_a();
    let table = [
        (100_000.0, 9.09, 0.0, 1.09),
        (96_000.0, 5.30, 41.7, 1.85),
        (93_000.0, 2.25, 75.3, 4.26),
        (91_000.0, 0.10, 98.9, 50.0),
    ];
    for (at, distance, used, ratio) in table {
        let at = price(at);
        assert!((liquidation_distance(&trade, at) * 100.0 - distance).abs() < 0.006);
        assert!((margin_used(&trade, at) * 100.0 - used).abs() < 0.06);
        assert!((margin_ratio(&trade, at) * 100.0 - ratio).abs() < 0.06);
    }
    assert_eq!(margin_ratio(&trade, price(90_000.0)), f64::INFINITY);
    assert!(liquidation_distance(&trade, price(90_000.0)) < 0.0);
}

#[test]
fn example_b_adding_margin_moves_leverage_and_liquidation() {
    let trade = with_margin_added(&example_a(), Sats(50_000));
    assert_eq!(trade.margin, Sats(150_000));
    assert!((trade.leverage - 6.666_666_666_666_667).abs() < 1e-12);
    assert_eq!(trade.liquidation, price(86_956.5));
    let further = with_margin_added(&example_a(), Sats(76_471));
    assert_eq!(further.liquidation, price(85_000.0));
    assert_eq!(max_add_margin(&example_a()), Some(Sats(900_000)));
}

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
fn fees_fall_by_tier() {
    let fees = FeeTier::ALL.map(|tier| trading_fee(Usd(1000), price(100_000.0), tier).0);
    assert_eq!(fees, [1000, 800, 700, 600]);
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

/// Example A from placement to close, and to its liquidation.
#[test]
fn example_a_moves_the_balance_as_the_sheet_says() {
    let trade = example_a();
    let reserve = Reserve::of(trade.quantity, trade.price, trade.liquidation);
    assert_eq!((reserve.opening, reserve.closing), (Sats(1000), Sats(1100)));
    assert_eq!(reserve.debit(trade.margin), Sats(102_100));
    let opening_fee = trading_fee(trade.quantity, trade.price, FeeTier::One);
    let running = reserve.of_running(opening_fee);
    assert_eq!((opening_fee, running), (Sats(1000), Sats(1100)));

    let exit = price(110_000.0);
    let fee = trading_fee(trade.quantity, exit, FeeTier::One);
    let credit_at_profit = credit(trade.margin, running, fee, pl(&trade, exit));
    assert_eq!((fee, credit_at_profit), (Sats(909), Sats(191_100)));
    let balance = Sats(500_000) - reserve.debit(trade.margin);
    assert_eq!(balance, Sats(397_900));
    assert_eq!(balance + credit_at_profit, Sats(589_000));

    let end = trade.liquidation;
    let fee = trading_fee(trade.quantity, end, FeeTier::One);
    assert_eq!(fee, Sats(1100));
    let nothing = credit(trade.margin, running, fee, pl(&trade, end));
    assert_eq!(nothing, Sats::ZERO);
}

#[test]
fn the_whole_table_of_the_margin_ratio_is_met() {
    let table = [
        (100_000.0, 0, 1.09),
        (98_000.0, -20_408, 1.36),
        (96_000.0, -41_667, 1.85),
        (94_000.0, -63_830, 2.95),
        (93_000.0, -75_269, 4.26),
        (92_000.0, -86_957, 7.78),
        (91_500.0, -92_896, 13.4),
        (91_200.0, -96_491, 23.9),
        (91_000.0, -98_901, 50.0),
        (90_950.0, -99_505, 69.0),
        (90_909.5, -99_995, 99.6),
    ];
    let trade = example_a();
    for (at, expected, ratio) in table {
        let at = price(at);
        assert_eq!(pl(&trade, at), Sats(expected), "{at}");
        assert!(
            (margin_ratio(&trade, at) * 100.0 - ratio).abs() < 0.06,
            "{at}"
        );
    }
    let entry_ratio = |leverage| {
        let trade = Position::sample(Side::Buy, 1000, 100_000.0, leverage);
        margin_ratio(&trade, trade.price) * 100.0
    };
    for (leverage, expected) in [(1, 0.2), (10, 1.1), (25, 2.5), (50, 4.9), (100, 9.2)] {
        assert!(
            (entry_ratio(leverage) - expected).abs() < 0.05,
            "{leverage}x"
        );
    }
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

/// Example C: what an owner's cash-in makes of example A.
#[test]
fn example_c_cash_in_takes_profit_first_then_margin() {
    let table = [
        // market, amount, price, margin, leverage, liquidation
        (110_000.0, 40_000, 104_166.5, 100_000, 9.600_015, 94_339.5),
        (110_000.0, 90_909, 110_000.0, 100_000, 9.090_909, 99_099.0),
        (110_000.0, 150_000, 110_000.0, 40_909, 22.222_272, 105_263.0),
        (98_000.0, 40_000, 100_000.0, 60_000, 16.666_667, 94_339.5),
    ];
    for (market, amount, reference, margin, times, quoted) in table {
        let after = cashed_in(&example_a(), price(market), Sats(amount)).unwrap();
        assert_eq!(after.price, price(reference), "{amount} at {market}");
        assert_eq!(after.margin, Sats(margin), "{amount} at {market}");
        assert_eq!(after.liquidation, price(quoted), "{amount} at {market}");
        assert!((after.leverage - times).abs() < 1e-6, "{}", after.leverage);
        assert_eq!(after.entry_price, price(100_000.0));
        assert_eq!(after.sum_cash_in_margin, Sats(100_000 - margin));
    }
    let after = cashed_in(&example_a(), price(110_000.0), Sats(40_000)).unwrap();
    assert_eq!(pl(&after, price(110_000.0)), Sats(50_911));
}

#[test]
fn a_cash_in_that_the_exchange_would_refuse_is_refused_and_a_stop_beyond_liquidation_falls() {
    let refused = |amount| cashed_in(&example_a(), price(100_000.0), Sats(amount)).err();
    assert_eq!(refused(100_000), Some(CashInRefused::NoMarginLeft));
    assert_eq!(refused(90_001), Some(CashInRefused::LeverageTooHigh));
    assert_eq!(refused(90_000), None);
    let stopped = |stop, amount| {
        let trade = Position {
            stoploss: Some(price(stop)),
            ..example_a()
        };
        let after = cashed_in(&trade, price(100_000.0), Sats(amount)).unwrap();
        after.stoploss
    };
    assert_eq!(stopped(92_000.0, 40_000), None);
    assert_eq!(stopped(95_000.0, 40_000), Some(price(95_000.0)));
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

/// The figures of the sheet's golden scenario, section 9.
#[test]
fn the_golden_scenario_adds_up() {
    let trade = example_a();
    let at = |usd| price(usd);
    assert_eq!(pl(&trade, at(95_000.0)), Sats(-52_632));
    assert!((margin_ratio(&trade, at(95_000.0)) * 100.0 - 2.27).abs() < 0.005);
    assert!((liquidation_distance(&trade, at(95_000.0)) * 100.0 - 4.31).abs() < 0.005);
    let trade = with_margin_added(&trade, Sats(76_471));
    assert_eq!(
        (trade.margin, trade.liquidation),
        (Sats(176_471), at(85_000.0))
    );
    assert!((trade.leverage - 5.666_653).abs() < 1e-6);
    let fee = funding::fee(trade.side, trade.quantity, at(95_010.37), 0.0001);
    let trade = funding::settled(&trade, fee);
    assert_eq!((fee, trade.margin), (Sats(105), Sats(176_366)));
    assert_eq!(
        (trade.liquidation, trade.sum_funding_fees),
        (at(85_007.5), Sats(105))
    );
    assert!((trade.leverage - 5.670_027).abs() < 1e-6);
    let exit = at(90_000.0);
    let closing_fee = trading_fee(trade.quantity, exit, FeeTier::One);
    let loss = pl(&trade, exit);
    assert_eq!((loss, closing_fee), (Sats(-111_111), Sats(1111)));
    let back = credit(trade.margin, trade.maintenance_margin, closing_fee, loss);
    assert_eq!(Sats(321_429) + back, Sats(386_673));
}

#[test]
fn the_cross_example_is_that_of_the_sheet() {
    let exposure = |side| Exposure {
        side,
        quantity: Usd(1000),
        entry: price(100_000.0),
    };
    let (long, short) = (exposure(Side::Buy), exposure(Side::Sell));
    assert_eq!(long.running_margin(10), Sats(100_000));
    assert_eq!(long.maintenance_margin(), Sats(1500));
    assert_eq!(long.liquidation(Sats(500_000)), price(66_733.5));
    assert_eq!(short.liquidation(Sats(500_000)), price(199_402.0));
    assert!(long.is_carried_by(Sats(101_501), 10));
    assert!(!long.is_carried_by(Sats(101_500), 10));
    for (exposure, target) in [(long, 66_733.5), (short, 199_402.0)] {
        let needed = exposure.margin_for_liquidation(price(target));
        assert!((needed.0 - 500_000).abs() <= 20, "{needed}");
        assert_eq!(exposure.liquidation(needed), price(target));
    }
    for (leverage, most) in [
        (1, 15_000_000),
        (2, 14_949_495),
        (10, 14_545_455),
        (25, 13_787_880),
        (50, 12_525_255),
        (100, 10_000_000),
    ] {
        assert_eq!(cross::max_quantity(leverage), Usd(most), "{leverage}x");
    }
}

#[test]
fn a_cross_position_is_near_its_liquidation_as_its_free_margin_says() {
    let cross = Position::sample_cross(Side::Buy, 1000, 100_000.0, 10, Sats(500_000));
    assert_eq!(
        (cross.liquidation, max_add_margin(&cross)),
        (price(66_733.5), None)
    );
    assert!((margin_used(&cross, cross.liquidation) - 1.0).abs() < 1e-5);
    assert!((margin_ratio(&cross, cross.liquidation) - 1.0).abs() < 1e-2);
    assert!((margin_ratio(&cross, cross.price) - 0.003).abs() < 1e-9);
    let added = with_margin_added(&cross, Sats(100_000));
    assert_eq!(added.leverage, cross.leverage);
    assert!(added.liquidation < cross.liquidation);
    let received = funding::settled(&cross, Sats(-100));
    assert_eq!(received.margin, Sats(500_100));
    assert_eq!(funding::settled(&cross, Sats(100)).margin, Sats(499_900));
}

#[test]
fn orders_enlarge_reduce_close_and_flip_the_one_cross_position() {
    let flat = CrossAccount {
        margin: Sats(5_000_000),
        exposure: None,
    };
    let at = price;
    let filled = |account: CrossAccount, side, quantity, usd| {
        account.filled(side, Usd(quantity), at(usd), FeeTier::One)
    };
    let long = filled(flat, Side::Buy, 1000, 100_000.0);
    assert_eq!(long.margin, Sats(4_999_000));
    let larger = filled(long, Side::Buy, 2000, 50_000.0);
    let held = larger.exposure.unwrap();
    assert_eq!((held.quantity, held.entry), (Usd(3000), at(60_000.0)));
    assert_eq!(larger.margin, Sats(4_995_000));

    // In profit: the entry stays, the profit is booked.
    let reduced = filled(long, Side::Sell, 400, 110_000.0);
    let held = reduced.exposure.unwrap();
    assert_eq!((held.quantity, held.entry), (Usd(600), at(100_000.0)));
    assert_eq!(reduced.margin, Sats(4_999_000 - 363 + 36_364));

    // In loss: the remainder has the whole loss.
    let before = long.exposure.unwrap().pl(at(95_000.0));
    let reduced = filled(long, Side::Sell, 400, 95_000.0);
    let held = reduced.exposure.unwrap();
    assert_eq!((held.side, held.quantity), (Side::Buy, Usd(600)));
    assert!((held.pl(at(95_000.0)).0 - before.0).abs() <= 2);
    assert_eq!(reduced.margin, Sats(4_999_000 - 421));
    // More than the remainder can carry is booked instead.
    let reduced = filled(long, Side::Sell, 990, 90_000.0);
    assert_eq!(reduced.exposure.unwrap().entry, at(100_000.0));
    assert_eq!(reduced.margin, Sats(4_999_000 - 1100 - 110_000));

    let closed = filled(long, Side::Sell, 1000, 95_000.0);
    assert_eq!(closed.exposure, None);
    assert_eq!(closed.margin, Sats(4_999_000 - 1052) + before);
    let flipped = filled(long, Side::Sell, 3000, 95_000.0);
    let held = flipped.exposure.unwrap();
    assert_eq!((held.side, held.quantity), (Side::Sell, Usd(2000)));
    assert_eq!(held.entry, at(95_000.0));
    assert_eq!(flipped.margin, Sats(4_999_000 - 3157) + before);
}
