//! Funding: every eight hours one side pays the other.

use super::{notional_cents, round_half_up, to_sats, with_margin_added};
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats, Usd};

/// Rates are taken to twelve decimals.
const TRILLION: i128 = 1_000_000_000_000;

/// What a position pays at a settlement, in satoshis; negative is received.
///
/// `round(Q / fixing · rate · S)`: a long pays where the rate is over zero, a short where it is
/// under. Both sides of one quantity are exact opposites.
pub fn fee(side: Side, quantity: Usd, fixing: Price, rate: f64) -> Sats {
    let rate = (rate * TRILLION as f64).round() as i128;
    let size = round_half_up(
        notional_cents(quantity) * rate.abs(),
        i128::from(fixing.cents()) * TRILLION,
    );
    let pays = (rate > 0) == (side == Side::Buy);
    to_sats(if pays { size } else { -size })
}

/// A position after a settlement. A trade pays from its margin, and what it receives goes to the
/// balance; a cross account's margin takes both.
pub fn settled(position: &Position, fee: Sats) -> Position {
    let taken = match position.mode {
        MarginMode::Isolated => fee.or_zero(),
        MarginMode::Cross => fee,
    };
    Position {
        sum_funding_fees: position.sum_funding_fees + fee,
        ..with_margin_added(position, -taken)
    }
}
