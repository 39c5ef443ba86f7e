//! The worked examples A and B, and the golden scenario.

use super::*;
use crate::domain::maths::fees::credit;

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
fn example_b_adding_margin_moves_leverage_and_liquidation() {
    let trade = with_margin_added(&example_a(), Sats(50_000));
    assert_eq!(trade.margin, Sats(150_000));
    assert!((trade.leverage - 6.666_666_666_666_667).abs() < 1e-12);
    assert_eq!(trade.liquidation, price(86_956.5));
    let further = with_margin_added(&example_a(), Sats(76_471));
    assert_eq!(further.liquidation, price(85_000.0));
    assert_eq!(max_add_margin(&example_a()), Some(Sats(900_000)));
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
