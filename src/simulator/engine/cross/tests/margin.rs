//! What the margin must bear, and what moves it.

use super::*;

#[test]
fn the_margin_must_bear_the_position() {
    // 1000 USD at 10x: fee 1000, running margin 100,000, maintenance margin 1500.
    let mut x = engine(102_500);
    assert!(x.market(Side::Buy, 1000).is_err(), "nothing would be free");
    let mut x = engine(102_501);
    assert_eq!(x.market(Side::Buy, 1000), Ok(1000));
    assert!(x.market(Side::Buy, 1).is_err());
    assert!(
        x.market(Side::Sell, 3000).is_err(),
        "a flip must be borne too"
    );
    assert!(x.market(Side::Sell, 500).is_ok(), "what shrinks is borne");
    assert_eq!(x.kinds().len(), 3, "refusals are not recorded");
    let mut x = engine(1 << 40);
    assert!(x.market(Side::Buy, 500_001).is_err());
    assert!(x.market(Side::Buy, 0).is_err());
    for _ in 0..29 {
        x.market(Side::Buy, 500_000).unwrap();
    }
    assert!(x.market(Side::Buy, 45_456).is_err(), "14,545,455 at 10x");
    assert!(x.market(Side::Buy, 45_455).is_ok());
    assert!(
        x.cross_leverage(KEY, 11, api(3)).is_err(),
        "too large for 11x"
    );
}

#[test]
fn margin_moves_between_balance_and_cross() {
    let mut x = engine(0);
    assert!(x.cross_deposit(KEY, 1_000_001, api(1)).is_err());
    assert!(x.cross_deposit(KEY, 0, api(1)).is_err());
    assert_eq!(
        x.cross_deposit(KEY, 501_000, api(1)).unwrap().margin,
        501_000
    );
    assert_eq!(x.accounts[KEY].balance, 499_000);
    x.market(Side::Buy, 1000).unwrap();
    // Free are 398,500; one of them must stay.
    assert!(x.cross_withdraw(KEY, 398_500, api(2)).is_err());
    assert!(x.cross_withdraw(KEY, 398_499, api(2)).is_ok());
    x.cross_close(KEY, api(3)).unwrap();
    let rest = x.held().margin;
    assert_eq!(x.cross_withdraw(KEY, rest, api(4)).unwrap().margin, 0);
    assert_eq!(x.accounts[KEY].balance, 1_000_000 - 2000);
    let amounts: Vec<_> = x.accounts[KEY]
        .cross
        .transfers
        .iter()
        .map(|t| t.amount)
        .collect();
    assert_eq!(amounts, [501_000, -398_499, -rest]);
    let told = x.told();
    assert!(
        told.contains(&"position Deposit".into()) && told.contains(&"position Withdraw".into())
    );
}

#[test]
fn a_lower_leverage_realises_profit_where_margin_is_short() {
    let mut x = engine(12_500);
    x.market(Side::Buy, 100).unwrap();
    assert!(x.cross_leverage(KEY, 5, api(2)).is_err());
    x.tick(usd(110_000.0), 3);
    let held = x.cross_leverage(KEY, 5, api(4)).unwrap();
    assert_eq!((held.margin, held.entry), (12_400 + 9091, usd(110_000.0)));
    assert_eq!((held.leverage, held.realised), (5, 9091));
    assert!(x.cross_leverage(KEY, 1, api(5)).is_err());
    assert_eq!(x.held(), held, "a refusal changes nothing");
    for bad in [0, 101] {
        assert!(x.cross_leverage(KEY, bad, api(6)).is_err());
    }
}

#[test]
fn funding_changes_the_margin_on_either_side() {
    for (side, paid) in [(Side::Buy, 100), (Side::Sell, -100)] {
        let mut x = engine(501_000);
        x.market(side, 1000).unwrap();
        x.told();
        x.settle_funding(0.0001, usd(100_500.0), 7);
        let held = x.held();
        assert_eq!((held.margin, held.funding_fees), (500_000 - paid, paid));
        assert_eq!(x.accounts[KEY].cross.funding_fees[0].fee, paid);
        assert_eq!(x.told(), ["position Funding"]);
    }
    let mut x = engine(501_000);
    x.settle_funding(0.0001, usd(100_500.0), 7);
    assert!(
        x.told().is_empty(),
        "a flat account neither pays nor receives"
    );
}

#[test]
fn fees_follow_the_tier() {
    for (tier, fee) in [(0, 1000), (1, 800), (2, 700), (3, 600)] {
        let mut x = engine(501_000);
        x.accounts.get_mut(KEY).unwrap().config.fee_tier = tier;
        assert_eq!(x.market(Side::Buy, 1000), Ok(fee));
    }
}
