//! Liquidation.

use super::*;

#[test]
fn liquidation_takes_all_but_what_is_left_of_the_maintenance_margin() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.told();
    x.tick(usd(66_734.0), 2);
    assert_eq!(x.held().quantity, 1000);
    x.tick(usd(60_000.0), 3);
    let held = x.held();
    // The fee at 66,733.5 is 1498 of the 1500.
    assert_eq!((held.quantity, held.margin), (0, 2));
    assert_eq!(x.told(), ["order New", "position Liquidation"]);
    let last = x.accounts[KEY].cross.done.last().unwrap().clone();
    assert_eq!(
        (last.kind, last.price),
        (OrderType::Liquidation, usd(66_733.5))
    );
    let entry = x.ledger.entries().last().unwrap();
    assert_eq!(
        (entry.kind, entry.amount),
        (LedgerKind::CrossLiquidated, Some(-499_998))
    );
}

#[test]
fn a_short_without_leverage_is_never_liquidated() {
    let mut x = engine(2_100_000);
    x.market(Side::Sell, 1000).unwrap();
    assert_eq!(x.held().liquidation(), Some(Price::MAX));
    x.tick(Price::MAX, 2);
    assert_eq!(x.held().quantity, -1000);
}
