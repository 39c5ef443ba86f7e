//! How near a trade is to its liquidation.

use super::*;

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
