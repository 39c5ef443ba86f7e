//! The one position of a cross account, backed by all margin in it.

use super::fees::{FeeTier, trading_fee};
use super::isolated::{self, profit};
use super::{MOST_LEVERAGE, ceiling, nearest_tick, notional_cents, to_sats};
use crate::domain::position::Side;
use crate::domain::units::{Price, Sats, Usd};

/// The maintenance margin is this share of the notional, in ten-thousandths: 0.15 %.
const MAINTENANCE_RATE: i128 = 15;
const RATE_UNIT: i128 = 10_000;
/// The largest position at a leverage of 1, in USD.
const MOST_AT_1X: i64 = 15_000_000;
/// The largest position at a leverage of 100, in USD.
const MOST_AT_100X: i64 = 10_000_000;
/// The largest position is rounded up to a multiple of this, in USD.
const QUANTITY_STEP: i64 = 5;

/// A net position that is not flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Long or short.
    pub side: Side,
    /// Size in whole USD, over zero.
    pub quantity: Usd,
    /// The reference price of its P&L.
    pub entry: Price,
}

/// A cross account: its margin, and its position unless it is flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossAccount {
    /// All satoshis in the account, without unrealised P&L.
    pub margin: Sats,
    /// The position.
    pub exposure: Option<Exposure>,
}

impl Exposure {
    /// Unrealised profit or loss at `at`, in satoshis; rounded as [`profit`] is.
    pub fn pl(&self, at: Price) -> Sats {
        profit(self.side, self.quantity, self.entry, at)
    }

    /// The margin that the position binds, in satoshis: `floor(Q·S / (entry·leverage))`.
    pub fn running_margin(&self, leverage: i64) -> Sats {
        let divisor = i128::from(self.entry.cents()) * i128::from(leverage.max(1));
        to_sats(notional_cents(self.quantity) / divisor)
    }

    /// The maintenance margin, in satoshis: `floor(0.0015 · Q·S / entry)`.
    pub fn maintenance_margin(&self) -> Sats {
        let divisor = i128::from(self.entry.cents()) * RATE_UNIT;
        to_sats(notional_cents(self.quantity) * MAINTENANCE_RATE / divisor)
    }

    /// The liquidation price on so much margin, in whole ticks: where the loss is
    /// `margin − maintenance margin`.
    pub fn liquidation(&self, margin: Sats) -> Price {
        let left = (margin - self.maintenance_margin()).or_zero();
        isolated::liquidation(self.side, self.quantity, self.entry, left)
    }

    /// Whether so much margin carries the position at a leverage: `margin − maintenance margin`
    /// over the running margin.
    pub fn is_carried_by(&self, margin: Sats, leverage: i64) -> bool {
        margin - self.maintenance_margin() > self.running_margin(leverage)
    }

    /// The margin with which the position is liquidated at `target`, in satoshis; what exceeds the
    /// present margin is the amount to deposit.
    pub fn margin_for_liquidation(&self, target: Price) -> Sats {
        isolated::margin_for_liquidation(self.side, self.quantity, self.entry, target)
            + self.maintenance_margin()
    }
}

/// The largest position allowed at a leverage from 1 to 100, in whole USD: a straight line from 15
/// million at 1x to 10 million at 100x, rounded up to a multiple of 5.
pub fn max_quantity(leverage: i64) -> Usd {
    let range = MOST_LEVERAGE - 1;
    let offset = leverage.clamp(1, MOST_LEVERAGE) - 1;
    let most = MOST_AT_1X * range - offset * (MOST_AT_1X - MOST_AT_100X);
    let steps = ceiling(i128::from(most), i128::from(range * QUANTITY_STEP));
    Usd(steps as i64 * QUANTITY_STEP)
}

impl CrossAccount {
    /// The account after an order was filled at `price`, its fee paid from the margin.
    ///
    /// One net position: an order of its side enlarges it, at the mean entry weighted by inverse
    /// price; one against it reduces, closes or flips it. A reduction in profit books the profit
    /// and keeps the entry; one in loss leaves the loss in a worse entry of the remainder, as far as
    /// that can carry it. A flip books all P&L and begins at `price`. What the exchange does on a
    /// reduction is not documented: this is how public backtests of it reckon.
    pub fn filled(&self, side: Side, quantity: Usd, price: Price, tier: FeeTier) -> Self {
        let margin = self.margin - trading_fee(quantity, price, tier);
        let fresh = |quantity| {
            Some(Exposure {
                side,
                quantity,
                entry: price,
            })
        };
        let Some(held) = self.exposure else {
            return Self {
                margin,
                exposure: fresh(quantity),
            };
        };
        if held.side == side {
            return Self {
                margin,
                exposure: Some(enlarged(held, quantity, price)),
            };
        }
        if quantity.0 >= held.quantity.0 {
            let rest = Usd(quantity.0 - held.quantity.0);
            return Self {
                margin: margin + held.pl(price),
                exposure: fresh(rest).filter(|_| rest.0 > 0),
            };
        }
        let (booked, rest) = reduced(held, quantity, price);
        Self {
            margin: margin + booked,
            exposure: Some(rest),
        }
    }
}

/// `(Q1 + Q2) / (Q1/P1 + Q2/P2)`, at the nearest tick.
fn enlarged(held: Exposure, added: Usd, price: Price) -> Exposure {
    let total = Usd(held.quantity.0 + added.0);
    let (entry, at) = (i128::from(held.entry.cents()), i128::from(price.cents()));
    let weight = i128::from(held.quantity.0) * at + i128::from(added.0) * entry;
    Exposure {
        quantity: total,
        entry: nearest_tick(i128::from(total.0) * entry * at, weight),
        ..held
    }
}

/// What is booked by a reduction, and what is left.
fn reduced(held: Exposure, by: Usd, price: Price) -> (Sats, Exposure) {
    let rest = Exposure {
        quantity: Usd(held.quantity.0 - by.0),
        ..held
    };
    let booked = profit(held.side, by, held.entry, price);
    if booked.0 >= 0 {
        return (booked, rest);
    }
    // R·(1/E' − 1/X) = Q·(1/E − 1/X): the remainder has the whole P&L.
    let (entry, at) = (i128::from(held.entry.cents()), i128::from(price.cents()));
    let (all, left) = (i128::from(held.quantity.0), i128::from(rest.quantity.0));
    let weight = left * entry + all * (at - entry);
    let highest = i128::from(Price::MAX.cents());
    if weight <= 0 || left * entry * at > weight * highest {
        return (booked, rest);
    }
    let entry = nearest_tick(left * entry * at, weight);
    (Sats::ZERO, Exposure { entry, ..rest })
}
