//! Units, in the type: satoshis, whole US dollars, prices in USD per BTC.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

use serde::{Deserialize, Serialize};

/// Satoshis in one bitcoin.
pub const SATS_PER_BTC: i128 = 100_000_000;

/// An amount in satoshis; negative for a loss or a debt.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sats(pub i64);

impl Sats {
    /// No satoshis.
    pub const ZERO: Self = Self(0);

    /// Never below zero.
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }
}

impl Add for Sats {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Sats {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Sats {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Sats {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Sats {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Sats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sats", self.0)
    }
}

/// A quantity in whole US dollars: one contract is one dollar.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(pub i64);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} USD", self.0)
    }
}

/// A price in USD per BTC, kept in whole cents: exact for every price of the exchange (its orders
/// are on a tick of 0.5, its index and fixings are not). Always over zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// The lowest price the exchange knows: 1 USD.
    pub const MIN: Self = Self(100);
    /// The highest price the exchange knows: 100,000,000 USD.
    pub const MAX: Self = Self(10_000_000_000);
    const TICK: u64 = 50;

    /// From cents; `None` for zero or above [`Price::MAX`].
    pub fn from_cents(cents: u64) -> Option<Self> {
        (1..=Self::MAX.0).contains(&cents).then_some(Self(cents))
    }

    /// From US dollars, rounded to the cent; `None` where that is no price (not finite, under half
    /// a cent, above [`Price::MAX`]).
    pub fn from_usd(usd: f64) -> Option<Self> {
        let cents = (usd * 100.0).round();
        (cents >= 1.0 && cents <= Self::MAX.0 as f64).then_some(Self(cents as u64))
    }

    /// In cents.
    pub fn cents(self) -> u64 {
        self.0
    }

    /// In US dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// On the tick of 0.5 USD that orders must keep to.
    pub fn is_on_tick(self) -> bool {
        self.0.is_multiple_of(Self::TICK)
    }

    /// The nearest multiple of 0.5 USD within the exchange's range (half a tick goes up).
    pub fn to_tick(cents: u128) -> Self {
        let tick = u128::from(Self::TICK);
        let ticks = (cents + tick / 2) / tick;
        Self(((ticks * tick).min(u128::from(Self::MAX.0)) as u64).max(Self::MIN.0))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (usd, 0) => write!(f, "{usd}"),
            (usd, cents) if cents % 10 == 0 => write!(f, "{usd}.{}", cents / 10),
            (usd, cents) => write!(f, "{usd}.{cents:02}"),
        }
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Price {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u64(self.0 / 100)
        } else {
            serializer.serialize_f64(self.usd())
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        Self::from_usd(usd)
            .ok_or_else(|| serde::de::Error::custom(format!("{usd} is not a price in USD per BTC")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_in_cents_and_print_without_needless_digits() {
        for (usd, shown) in [(68_020.5, "68020.5"), (95_010.37, "95010.37"), (1.0, "1")] {
            let price = Price::from_usd(usd).unwrap();
            assert_eq!(price.to_string(), shown);
            assert_eq!(serde_json::to_string(&price).unwrap(), shown);
            assert_eq!(serde_json::from_str::<Price>(shown).unwrap(), price);
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for usd in [0.0, -1.0, f64::NAN, f64::INFINITY, 100_000_000.5] {
            assert_eq!(Price::from_usd(usd), None, "{usd}");
        }
        assert!(serde_json::from_str::<Price>("0").is_err());
    }

    #[test]
    fn ticks_round_to_the_nearest_half_dollar_within_the_range() {
        assert_eq!(Price::to_tick(9_090_909).usd(), 90_909.0);
        assert_eq!(Price::to_tick(9_090_925).usd(), 90_909.5);
        assert_eq!(Price::to_tick(0), Price::MIN);
        assert_eq!(Price::to_tick(u128::MAX / 2), Price::MAX);
    }
}
