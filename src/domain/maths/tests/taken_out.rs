//! Example C: cash-in.

use super::*;
use crate::domain::maths::cash_in::{CashInRefused, cashed_in};

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
