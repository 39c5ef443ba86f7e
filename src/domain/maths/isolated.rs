//! A position: its worth, its margin, its liquidation.

use super::{CENTS, ceiling, nearest_tick, notional_cents, round_half_up, to_sats};
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, SATS_PER_BTC, Sats, Usd};

/// Leverages are taken to nine decimals.
const BILLION: i128 = 1_000_000_000;

/// The value of `quantity` at `price`, in satoshis, rounded down.
pub fn notional(quantity: Usd, price: Price) -> Sats {
    to_sats(notional_cents(quantity) / i128::from(price.cents()))
}

/// The margin of a quantity at a price and a leverage, in satoshis: `floor(Q·S / (P·l))`.
///
/// The exchange's rounding here is not known; rounding down agrees with its liquidation prices.
pub fn margin(quantity: Usd, price: Price, leverage: f64) -> Sats {
    let divisor = i128::from(price.cents()) * billionths(leverage);
    to_sats(notional_cents(quantity) * BILLION / divisor)
}

/// The quantity that a margin carries at a price and a leverage, in whole USD:
/// `floor(M·l·P / S)`.
pub fn quantity(margin: Sats, price: Price, leverage: f64) -> Usd {
    let value = i128::from(margin.0) * billionths(leverage) * i128::from(price.cents());
    Usd(to_sats(value.div_euclid(SATS_PER_BTC * CENTS * BILLION)).0)
}

fn billionths(leverage: f64) -> i128 {
    ((leverage * BILLION as f64).round() as i128).max(1)
}

/// Effective leverage `Q·S/(M·P)`.
pub fn leverage(quantity: Usd, price: Price, margin: Sats) -> f64 {
    quantity.0 as f64 * SATS_PER_BTC as f64 / (margin.0.max(1) as f64 * price.usd())
}

/// Unrealised profit or loss of a position at `at`, in satoshis.
pub fn pl(position: &Position, at: Price) -> Sats {
    profit(position.side, position.quantity, position.price, at)
}

/// What a quantity gains from one price to another, in satoshis.
///
/// Long `Q·S·(1/P − 1/X)`, short the negative; rounded to the nearest satoshi, half towards plus
/// infinity, as the exchange's JavaScript does.
pub fn profit(side: Side, quantity: Usd, from: Price, to: Price) -> Sats {
    let (from, to) = (i128::from(from.cents()), i128::from(to.cents()));
    let difference = match side {
        Side::Buy => to - from,
        Side::Sell => from - to,
    };
    to_sats(round_half_up(
        notional_cents(quantity) * difference,
        from * to,
    ))
}

/// The price at which a quantity has gained so much, in whole ticks: the inverse of [`profit`].
///
/// Long `1 / (1/P − g/(S·Q))`, short `1 / (1/P + g/(S·Q))`; a gain that no price brings has the
/// highest price the exchange knows.
pub fn price_of_profit(side: Side, quantity: Usd, from: Price, gain: Sats) -> Price {
    let from = i128::from(from.cents());
    let notional = notional_cents(quantity);
    let share = i128::from(gain.0) * from;
    let denominator = match side {
        Side::Buy => notional - share,
        Side::Sell => notional + share,
    };
    nearest_tick(notional * from, denominator)
}

/// The quoted liquidation price for a margin, in whole ticks: where the loss is the margin.
///
/// Long `1 / (1/P + M/(S·Q))`, short `1 / (1/P − M/(S·Q))`; a short that cannot be liquidated has
/// the highest price the exchange knows.
pub fn liquidation(side: Side, quantity: Usd, price: Price, margin: Sats) -> Price {
    price_of_profit(side, quantity, price, -margin)
}

/// What can still be added to the margin before the leverage falls below 1, in satoshis:
/// `floor(Q·S/P) − M`; `None` for a cross position, to whose account anything may be deposited.
pub fn max_add_margin(position: &Position) -> Option<Sats> {
    let isolated = position.mode == MarginMode::Isolated;
    isolated.then(|| (notional(position.quantity, position.price) - position.margin).or_zero())
}

/// The margin that stands between a position and its liquidation: all of a trade's; of a cross
/// position what is over the maintenance margin.
pub fn free_margin(position: &Position) -> Sats {
    match position.mode {
        MarginMode::Isolated => position.margin,
        MarginMode::Cross => position.margin - position.maintenance_margin,
    }
}

/// The position as it will be once `amount` satoshis were added to its margin: quantity, price and
/// stops stay, liquidation moves away from the market; so does a trade's leverage, while that of a
/// cross position is a setting.
pub fn with_margin_added(position: &Position, amount: Sats) -> Position {
    let (quantity, price) = (position.quantity, position.price);
    let mut added = Position {
        margin: position.margin + amount,
        ..position.clone()
    };
    added.liquidation = liquidation(position.side, quantity, price, free_margin(&added));
    if position.mode == MarginMode::Isolated {
        added.leverage = leverage(quantity, price, added.margin);
    }
    added
}

/// The margin with which a trade is liquidated at `target`, in satoshis: long
/// `ceil(Q·S·(1/L − 1/P))`, short `ceil(Q·S·(1/P − 1/L))`. What exceeds the present margin is the
/// amount to add; zero or less where `target` is on the profitable side of `price`.
pub fn margin_for_liquidation(side: Side, quantity: Usd, price: Price, target: Price) -> Sats {
    let (price, target) = (i128::from(price.cents()), i128::from(target.cents()));
    let difference = match side {
        Side::Buy => price - target,
        Side::Sell => target - price,
    };
    to_sats(ceiling(
        notional_cents(quantity) * difference,
        price * target,
    ))
}
