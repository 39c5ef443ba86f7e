//! Trade maths of an inverse BTC/USD perpetual, in exact integers.
//!
//! Prices are hundredths of a dollar (a fixing price is not always on the 0.5 tick), amounts are
//! satoshis, quantities whole dollars. Every quotient is taken once, in `i128`, so that no
//! binary fraction ever decides a satoshi.

pub(super) mod cross;

use std::fmt;

/// Satoshis in a bitcoin.
const SATS: i128 = 100_000_000;
/// Hundredths of a dollar in a dollar.
const CENTS: i128 = 100;
/// The price tick of the exchange, 0.5 USD, in hundredths.
const TICK: i64 = 50;
/// US dollars traded over which the second, third and fourth fee tier begin.
const TIER_VOLUMES: [i64; 3] = [250_000, 1_000_000, 5_000_000];
/// Decimals kept of a leverage, a rate or a distance: nine.
const NANO: i128 = 1_000_000_000;
/// The fee rate, in ten-thousandths, from which the reserves are always taken (tier 1).
const RESERVE_RATE: i128 = 10;

/// A price in hundredths of a US dollar per bitcoin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Price(i64);

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_f64())
    }
}

impl Price {
    /// No price: an unset stop.
    pub(super) const ZERO: Price = Price(0);
    /// The lowest price of the exchange, 1 USD.
    pub(super) const MIN: Price = Price(100);
    /// The highest price of the exchange, 100,000,000 USD; also "never liquidated".
    pub(super) const MAX: Price = Price(10_000_000_000);

    /// Rounds to the nearest hundredth; `None` when not a finite price from 1 to 100,000,000.
    pub(super) fn from_f64(usd: f64) -> Option<Price> {
        if !usd.is_finite() {
            return None;
        }
        let price = Price((usd * 100.0).round() as i64);
        (Price::MIN..=Price::MAX).contains(&price).then_some(price)
    }

    /// The price in dollars.
    pub(super) fn to_f64(self) -> f64 {
        self.0 as f64 / 100.0
    }

    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether the price is a multiple of 0.5 USD.
    pub(super) fn on_tick(self) -> bool {
        self.0 % TICK == 0
    }

    /// The nearest tick, half up.
    pub(super) fn to_tick(self) -> Price {
        Price((self.0 + TICK / 2).div_euclid(TICK) * TICK)
    }

    pub(super) fn plus(self, other: Price) -> Price {
        Price(self.0 + other.0)
    }

    pub(super) fn minus(self, other: Price) -> Price {
        Price(self.0 - other.0)
    }

    /// From hundredths of a dollar.
    #[cfg(test)]
    pub(super) fn from_cents(cents: i64) -> Price {
        Price(cents)
    }

    fn wide(self) -> i128 {
        i128::from(self.0)
    }

    /// `num / den` dollars, to the nearest tick, clamped to the exchange's range.
    fn tick_of(num: i128, den: i128) -> Price {
        if den <= 0 {
            return Price::MAX;
        }
        let ticks = round_half_up(num * CENTS, den * i128::from(TICK));
        let cents = ticks.saturating_mul(i128::from(TICK));
        Price(cents.clamp(Price::MIN.wide(), Price::MAX.wide()) as i64)
    }
}

/// Buyer or seller of dollars: a long gains when bitcoin rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Buy,
    Sell,
}

impl Side {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }

    pub(super) fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// The quantity as a change of a net position: positive when bought.
    pub(super) fn signed(self, quantity: i64) -> i64 {
        match self {
            Side::Buy => quantity,
            Side::Sell => -quantity,
        }
    }
}

/// A fraction with nine decimals: leverage, funding rate, trailing distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Nano(i128);

impl Nano {
    pub(super) fn from_f64(value: f64) -> Nano {
        Nano((value * NANO as f64).round() as i128)
    }
}

/// `Math.round` of JavaScript: halves go up, toward plus infinity, also below zero.
fn round_half_up(num: i128, den: i128) -> i128 {
    (2 * num + den).div_euclid(2 * den)
}

fn sats(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value > 0 { i64::MAX } else { i64::MIN })
}

/// `Q * S` in hundredths, the numerator of every notional.
fn notional(quantity: i64) -> i128 {
    i128::from(quantity) * SATS * CENTS
}

/// Margin of a quantity at a price and a leverage: `floor(Q*S / (P*l))`.
pub(super) fn margin_of(quantity: i64, price: Price, leverage: Nano) -> i64 {
    sats((notional(quantity) * NANO).div_euclid(price.wide() * leverage.0.max(1)))
}

/// The same, rounded up.
pub(super) fn margin_up(quantity: i64, price: Price, leverage: Nano) -> i64 {
    let size = price.wide() * leverage.0.max(1);
    sats((notional(quantity) * NANO + size - 1).div_euclid(size))
}

/// Quantity that a margin buys: `floor(M*l*P / S)`.
pub(super) fn quantity_of(margin: i64, price: Price, leverage: Nano) -> i64 {
    sats((i128::from(margin) * leverage.0 * price.wide()).div_euclid(SATS * CENTS * NANO))
}

/// The largest margin a quantity may have: leverage 1, `floor(Q*S / P)`.
pub(super) fn max_margin(quantity: i64, price: Price) -> i64 {
    sats(notional(quantity).div_euclid(price.wide()))
}

/// Effective leverage `Q*S / (M*P)`, for display and limits.
pub(super) fn leverage_of(quantity: i64, margin: i64, price: Price) -> f64 {
    notional(quantity) as f64 / (i128::from(margin) * price.wide()) as f64
}

/// Whether `Q*S / (M*P)` is over 100, exactly.
pub(super) fn over_max_leverage(quantity: i64, margin: i64, price: Price) -> bool {
    notional(quantity) > 100 * i128::from(margin) * price.wide()
}

/// Profit and loss in satoshis between the reference price and `exit`, rounded half up.
pub(super) fn profit(side: Side, quantity: i64, price: Price, exit: Price) -> i64 {
    let (from, to) = match side {
        Side::Buy => (price, exit),
        Side::Sell => (exit, price),
    };
    sats(round_half_up(
        notional(quantity) * (to.wide() - from.wide()),
        from.wide() * to.wide(),
    ))
}

/// The price where the loss is the margin `m`, on the tick; a short that can lose no more than
/// its margin at any price has [`Price::MAX`].
pub(super) fn liquidation(side: Side, quantity: i64, price: Price, margin: i64) -> Price {
    toward_loss(side, quantity, price, margin)
}

/// The price, below for a long and above for a short, at which `amount` satoshis are lost.
fn toward_loss(side: Side, quantity: i64, price: Price, amount: i64) -> Price {
    let value = i128::from(quantity) * SATS * price.wide();
    let shift = i128::from(amount) * price.wide();
    match side {
        Side::Buy => Price::tick_of(value, notional(quantity) + shift),
        Side::Sell => Price::tick_of(value, notional(quantity) - shift),
    }
}

/// The reference price after `amount` of profit was taken out: it moves toward the market.
pub(super) fn price_after_cash_in(side: Side, quantity: i64, price: Price, amount: i64) -> Price {
    toward_loss(side.opposite(), quantity, price, amount)
}

/// Trading fee of a fill, `floor(Q*S*rate / price)`; tiers 0..3 are 0.1, 0.08, 0.07, 0.06 %.
pub(super) fn fee(quantity: i64, price: Price, tier: u8) -> i64 {
    let rate = match tier {
        0 => 10,
        1 => 8,
        2 => 7,
        _ => 6,
    };
    fee_at(quantity, price, rate)
}

/// Fee tier that a volume of 30 days reaches.
pub(super) fn tier_of(volume: i64) -> u8 {
    let passed = TIER_VOLUMES.iter().filter(|bound| volume > **bound);
    passed.count() as u8
}

/// Fee reserve of one leg: always at the tier-1 rate.
pub(super) fn reserve(quantity: i64, price: Price) -> i64 {
    fee_at(quantity, price, RESERVE_RATE)
}

fn fee_at(quantity: i64, price: Price, rate: i128) -> i64 {
    sats((notional(quantity) * rate).div_euclid(10_000 * price.wide()))
}

/// What a long pays (negative: receives) at a settlement: `round(Q / fixing * rate * S)`.
/// The short's side is the exact opposite.
pub(super) fn funding(side: Side, quantity: i64, fixing: Price, rate: Nano) -> i64 {
    let size = round_half_up(notional(quantity) * rate.0.abs(), fixing.wide() * NANO);
    let long = if rate.0 < 0 { -size } else { size };
    sats(match side {
        Side::Buy => long,
        Side::Sell => -long,
    })
}

/// The stop of a trailing distance below (long) or above (short) the best price, rounded to the
/// tick away from the market; zero, never reached, when a long trails by its whole price.
pub(super) fn trailing_stop(side: Side, best: Price, distance: Nano) -> Price {
    let tick = NANO * i128::from(TICK);
    let cents = match side {
        Side::Buy => (best.wide() * (NANO - distance.0)).div_euclid(tick),
        Side::Sell => -(-best.wide() * (NANO + distance.0)).div_euclid(tick),
    } * i128::from(TICK);
    Price(cents.clamp(0, Price::MAX.wide()) as i64)
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
