//! One position: enlarged, reduced, flipped, closed; and what of it is realised.

use proptest::prelude::*;

use super::*;

#[test]
fn the_worked_example_and_its_short_mirror() {
    for (side, level) in [(Side::Buy, 66_733.5), (Side::Sell, 199_402.0)] {
        // 1000 sats of it are the fee.
        let mut x = engine(501_000);
        assert_eq!(x.market(side, 1000), Ok(1000));
        let held = x.held();
        assert_eq!((held.margin, held.quantity), (500_000, side.signed(1000)));
        assert_eq!((held.running_margin(), held.maintenance()), (100_000, 1500));
        assert_eq!(held.liquidation(), Some(usd(level)));
        assert_eq!(held.free(usd(100_000.0), 0), 398_500);
        assert_eq!(x.told(), ["order New", "position New"]);
    }
}

#[test]
fn the_same_side_averages_the_entry() {
    let mut x = engine(5_000_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(50_000.0), 2);
    x.market(Side::Buy, 2000).unwrap();
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (3000, usd(60_000.0)));
    assert_eq!((held.trading_fees, held.realised), (1000 + 4000, 0));
}

#[test]
fn a_reduction_books_a_profit_and_keeps_the_entry() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(110_000.0), 2);
    assert_eq!(x.market(Side::Sell, 400), Ok(363));
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (600, usd(100_000.0)));
    assert_eq!(
        (held.margin, held.realised),
        (500_000 + 36_364 - 363, 36_364)
    );
    assert_eq!(held.total_pl(x.last), 36_364 + 54_545);
}

#[test]
fn a_reduction_carries_a_loss_on_in_the_entry() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(90_000.0), 2);
    assert_eq!(x.held().running_pl(x.last), -111_111);
    assert_eq!(x.market(Side::Sell, 500), Ok(555));
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (500, usd(112_500.0)));
    assert_eq!((held.margin, held.running_pl(x.last)), (499_445, -111_111));
}

#[test]
fn a_loss_that_no_entry_can_carry_is_realised() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(80_000.0), 2);
    x.market(Side::Sell, 999).unwrap();
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (1, usd(100_000.0)));
    assert_eq!(held.realised, -249_750);
    assert_eq!(held.margin, 500_000 - 249_750 - 1248);
}

#[test]
fn opposite_orders_net_and_then_flip() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    let id = x.held().id;
    x.tick(usd(110_000.0), 2);
    assert_eq!(x.market(Side::Sell, 1500), Ok(1363));
    let held = x.held();
    assert_eq!(
        (held.quantity, held.entry, held.id),
        (-500, usd(110_000.0), id)
    );
    assert_eq!(held.margin, 500_000 + 90_909 - 1363);
    assert_eq!((held.realised, held.trading_fees), (0, 1363));
    x.market(Side::Buy, 500).unwrap();
    let held = x.held();
    assert!(held.is_flat() && held.liquidation().is_none() && held.entry.is_zero());
    assert_eq!(
        (held.id, held.trading_fees, held.total_pl(x.last)),
        (id, 0, 0)
    );
}

#[test]
fn closing_is_an_opposite_market_order_of_the_full_size() {
    let mut x = engine(501_000);
    assert!(x.cross_close(KEY, api(1)).is_err(), "nothing to close");
    x.market(Side::Sell, 1000).unwrap();
    let closing = x.cross_close(KEY, api(2)).unwrap();
    assert_eq!((closing.kind, closing.side), (OrderType::Market, Side::Buy));
    assert_eq!((closing.quantity, closing.fee), (1000, 1000));
    assert_eq!(
        (closing.state, closing.client_id),
        (OrderState::Filled, None)
    );
    assert_eq!((x.held().quantity, x.held().margin), (0, 499_000));
    use LedgerKind::*;
    assert_eq!(x.kinds(), [CrossLeverageSet, CrossFilled, CrossClosed]);
}

proptest! {
    /// Whatever is traded, satoshis only leave as fees: an entry on the tick rounds a few of them.
    #[test]
    fn satoshis_are_conserved(
        steps in prop::collection::vec((any::<bool>(), 1_i64..2000, -100_i64..100), 1..40),
    ) {
        let mut x = engine(50_000_000);
        let id = x.held().id;
        let mut price = 100_000.0;
        for (buys, quantity, shift) in steps {
            price += shift as f64 * 5.0;
            x.tick(usd(price), 2);
            let before = x.held();
            let side = if buys { Side::Buy } else { Side::Sell };
            let fee = x.market(side, quantity).unwrap();
            let held = x.held();
            prop_assert_eq!(held.quantity, before.quantity + side.signed(quantity));
            let worth = |of: Position| of.margin + of.running_pl(x.last);
            let entry = held.entry.to_f64().max(1.0);
            let quarter_dollar = held.size() as f64 * 0.25e8 / (entry * entry);
            let lost = worth(before) - fee - worth(held);
            prop_assert!(lost.abs() <= quarter_dollar as i64 + 2, "{before:?} {held:?}");
            prop_assert!(held.free(x.last, 0) > 0 && held.id == id);
        }
    }
}
