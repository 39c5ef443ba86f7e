//! The cross account: its example, its orders, its nearness to liquidation.

use super::*;
use crate::domain::maths::cross::{CrossAccount, Exposure};

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
