//! Trade maths of the inverse BTC/USD contract, in exact integers.
//!
//! `S` is 100,000,000 satoshis; `Q` the quantity in USD; `P` the reference price and `X` the price
//! now, both in cents here, so that a notional is `Q · S · 100 / P`. The formulas are those of the
//! exchange's documentation and its maths repository; their rounding is said at each. Every
//! quotient is taken once, in `i128`: no binary fraction decides a satoshi.
//!
//! [`isolated`] says what a position is worth and where it is liquidated, [`danger`] how near that is,
//! [`fees`] what is set aside and paid, [`funding`] and [`cash_in`] what becomes of a trade
//! meanwhile, [`cross`] how a cross account's
//! one position comes about.

pub mod cash_in;
pub mod cross;
pub mod danger;
pub mod fees;
pub mod funding;
pub mod isolated;

pub use danger::{liquidation_distance, margin_ratio, margin_used};
pub use isolated::{
    free_margin, leverage, liquidation, max_add_margin, notional, pl, profit, with_margin_added,
};

use super::units::{Price, SATS_PER_BTC, Sats, Usd};

/// The highest leverage the exchange allows.
pub const MOST_LEVERAGE: i64 = 100;

/// Hundredths of a dollar in a dollar.
const CENTS: i128 = 100;
/// The tick of the exchange's prices, 0.5 USD, in cents.
const TICK_CENTS: i128 = 50;

/// `Q · S` in cents: the numerator of every notional.
fn notional_cents(quantity: Usd) -> i128 {
    i128::from(quantity.0) * SATS_PER_BTC * CENTS
}

/// `Math.round` of JavaScript: halves go towards plus infinity, also below zero.
fn round_half_up(numerator: i128, denominator: i128) -> i128 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

/// Upwards to the next whole number.
fn ceiling(numerator: i128, denominator: i128) -> i128 {
    -(-numerator).div_euclid(denominator)
}

/// A fraction of cents at the nearest tick, within the exchange's range; half a tick goes up. What
/// has no upper end (a denominator of zero or less) is the highest price.
fn nearest_tick(numerator: i128, denominator: i128) -> Price {
    if denominator <= 0 {
        return Price::MAX;
    }
    let ticks = round_half_up(numerator, TICK_CENTS * denominator);
    Price::to_tick((ticks * TICK_CENTS).max(0).unsigned_abs())
}

fn to_sats(amount: i128) -> Sats {
    Sats(amount.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

#[cfg(test)]
mod tests;
