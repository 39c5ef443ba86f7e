//! Trading fees, and what is set aside for them.
//!
//! Both legs of a trade are reserved for at the rate of the first tier when it is placed; what a
//! cheaper tier does not use comes back at the close. The reserve that is left is what the exchange
//! calls the maintenance margin.

use super::{notional_cents, to_sats};
use crate::domain::units::{Price, Sats, Usd};

/// Rates are in hundred-thousandths.
const RATE_UNIT: i128 = 100_000;

/// A fee tier, by the volume of the last 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeeTier {
    /// 0.1 %: from the start.
    #[default]
    One,
    /// 0.08 %: over 250,000 USD.
    Two,
    /// 0.07 %: over 1,000,000 USD.
    Three,
    /// 0.06 %: over 5,000,000 USD.
    Four,
}

impl FeeTier {
    /// All tiers, the dearest first.
    pub const ALL: [Self; 4] = [Self::One, Self::Two, Self::Three, Self::Four];

    /// The rate in hundred-thousandths.
    fn rate(self) -> i128 {
        match self {
            Self::One => 100,
            Self::Two => 80,
            Self::Three => 70,
            Self::Four => 60,
        }
    }
}

/// The fee of a fill, in satoshis: `floor(Q·S·rate / price)`.
pub fn trading_fee(quantity: Usd, price: Price, tier: FeeTier) -> Sats {
    to_sats(notional_cents(quantity) * tier.rate() / (i128::from(price.cents()) * RATE_UNIT))
}

/// What is set aside for both legs of a trade when it is placed, in satoshis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// For opening at the reference price.
    pub opening: Sats,
    /// For closing at the liquidation price quoted then.
    pub closing: Sats,
}

impl Reserve {
    /// The reserve of a trade at its placement, always at the rate of the first tier.
    pub fn of(quantity: Usd, price: Price, liquidation: Price) -> Self {
        Self {
            opening: trading_fee(quantity, price, FeeTier::One),
            closing: trading_fee(quantity, liquidation, FeeTier::One),
        }
    }

    /// The maintenance margin of an order that is not filled.
    pub fn of_order(self) -> Sats {
        self.opening + self.closing
    }

    /// The maintenance margin of a running trade: what is left after its opening fee.
    pub fn of_running(self, opening_fee: Sats) -> Sats {
        self.of_order() - opening_fee
    }

    /// What a placement takes from the balance: `M + opening + closing reserve`.
    pub fn debit(self, margin: Sats) -> Sats {
        margin + self.of_order()
    }
}

/// What a close returns to the balance: `M + maintenanceMargin − closing fee + P&L`.
///
/// The loss is at most the margin: the quoted liquidation price is on a tick, up to a quarter of a
/// dollar beyond the exact one.
pub fn credit(margin: Sats, maintenance_margin: Sats, closing_fee: Sats, pl: Sats) -> Sats {
    margin + maintenance_margin - closing_fee + pl.max(-margin)
}
