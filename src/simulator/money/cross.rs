//! Cross margin: entry prices, requirements and the largest position.

use super::{CENTS, Price, Side, fee_at, notional, profit};

/// Maintenance margin, in ten-thousandths of the notional.
const MAINTENANCE_RATE: i128 = 15;
/// Largest position at leverage 1 and at leverage 100, US dollars; linear between them.
const MAX_POSITION: [i64; 2] = [15_000_000, 10_000_000];
/// The largest position is rounded up to a multiple of this.
const POSITION_STEP: i64 = 5;
/// Steps of leverage between 1 and 100.
const LEVERAGE_STEPS: i64 = 99;

/// Maintenance margin of a position: `floor(0.0015 * Q*S / entry)`.
pub(in crate::simulator) fn maintenance(quantity: i64, entry: Price) -> i64 {
    fee_at(quantity, entry, MAINTENANCE_RATE)
}

/// Entry price after adding on the same side: `(Q1+Q2) / (Q1/P1 + Q2/P2)`, on the tick.
pub(in crate::simulator) fn average_entry(
    quantity: i64,
    entry: Price,
    added: i64,
    price: Price,
) -> Price {
    let (held, more) = (i128::from(quantity), i128::from(added));
    let num = (held + more) * entry.wide() * price.wide();
    let den = held * price.wide() + more * entry.wide();
    Price::tick_of(num, den * CENTS)
}

/// Entry price of what is left after a reduction at a loss: the whole loss is carried on, so that
/// `left` has at `price` the P&L that `quantity` had. `None` where no price can carry so much.
pub(in crate::simulator) fn carried_entry(
    side: Side,
    quantity: i64,
    entry: Price,
    left: i64,
    price: Price,
) -> Option<Price> {
    // 1/P' = 1/X + (Q/Q') * (1/P - 1/X), the same for both sides.
    let (whole, rest) = (i128::from(quantity), i128::from(left));
    let num = rest * entry.wide() * price.wide();
    let den = rest * entry.wide() + whole * (price.wide() - entry.wide());
    if den <= 0 {
        return None;
    }
    let carried = Price::tick_of(num, den * CENTS);
    // Clamped to the range of prices, it would carry less than there is.
    let whole_loss = profit(side, quantity, entry, price);
    let is_whole = carried > Price::MIN && carried < Price::MAX && whole_loss < 0;
    is_whole.then_some(carried)
}

/// Largest position at a leverage from 1 to 100, US dollars.
pub(in crate::simulator) fn max_position(leverage: i64) -> i64 {
    let [most, least] = MAX_POSITION;
    let scaled = most * LEVERAGE_STEPS - (leverage - 1) * (most - least);
    let step = LEVERAGE_STEPS * POSITION_STEP;
    (scaled + step - 1).div_euclid(step) * POSITION_STEP
}

/// Notional of a position divided by its leverage: `floor(Q*S / entry / leverage)`.
pub(in crate::simulator) fn running_margin(quantity: i64, entry: Price, leverage: i64) -> i64 {
    super::sats(notional(quantity).div_euclid(entry.wide() * i128::from(leverage.max(1))))
}

#[cfg(test)]
mod tests {
    use super::super::{liquidation, profit};
    use super::*;

    fn usd(price: f64) -> Price {
        Price::from_f64(price).unwrap()
    }

    #[test]
    fn requirements_and_liquidation_of_the_worked_example() {
        let entry = usd(100_000.0);
        assert_eq!(running_margin(1000, entry, 10), 100_000);
        let held = 500_000 - maintenance(1000, entry);
        assert_eq!(held, 498_500);
        for (side, level) in [(Side::Buy, 66_733.5), (Side::Sell, 199_402.0)] {
            assert_eq!(liquidation(side, 1000, entry, held), usd(level));
        }
        assert_eq!(running_margin(2, usd(66_834.0), 1), 2_992);
    }

    #[test]
    fn an_entry_is_averaged_by_bitcoin() {
        let averaged = average_entry(1000, usd(100_000.0), 2000, usd(50_000.0));
        assert_eq!(averaged, usd(60_000.0));
    }

    #[test]
    fn a_loss_is_carried_whole_or_not_at_all() {
        for (side, price) in [(Side::Buy, 90_000.0), (Side::Sell, 112_500.0)] {
            let (entry, price) = (usd(100_000.0), usd(price));
            let carried = carried_entry(side, 1000, entry, 500, price).unwrap();
            let (before, after) = (
                profit(side, 1000, entry, price),
                profit(side, 500, carried, price),
            );
            // The entry is a tick rounding: 500 USD lose 12 to 16 sats on half a dollar.
            assert!((before - after).abs() <= 10, "{before} {after}");
        }
        let (entry, price) = (usd(100_000.0), usd(80_000.0));
        assert_eq!(carried_entry(Side::Buy, 1000, entry, 1, price), None);
    }

    #[test]
    fn the_largest_position_falls_with_the_leverage() {
        for (leverage, most) in [
            (1, 15_000_000),
            (2, 14_949_495),
            (10, 14_545_455),
            (25, 13_787_880),
            (50, 12_525_255),
            (100, 10_000_000),
        ] {
            assert_eq!(max_position(leverage), most, "{leverage}x");
        }
    }
}
