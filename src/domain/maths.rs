//! Trade maths of the inverse BTC/USD contract, in exact integers.
//!
//! `S` is 100,000,000 satoshis; `Q` the quantity in USD; `P` the reference price and `X` the price
//! now, both in cents here, so that a notional is `Q · S · 100 / P`. The formulas are those of the
//! exchange's documentation and its maths repository; their rounding is said at each.

use super::position::{MarginMode, Position, Side};
use super::units::{Price, SATS_PER_BTC, Sats, Usd};

const CENTS: i128 = 100;

/// The value of `quantity` at `price`, in satoshis, rounded down.
pub fn notional(quantity: Usd, price: Price) -> Sats {
    to_sats(i128::from(quantity.0) * SATS_PER_BTC * CENTS / i128::from(price.cents()))
}

/// Unrealised profit or loss of a position at `at`, in satoshis.
///
/// Long `Q·S·(1/P − 1/X)`, short the negative; rounded to the nearest satoshi, half towards plus
/// infinity, as the exchange's JavaScript does.
pub fn pl(position: &Position, at: Price) -> Sats {
    let (reference, now) = (i128::from(position.price.cents()), i128::from(at.cents()));
    let difference = match position.side {
        Side::Buy => now - reference,
        Side::Sell => reference - now,
    };
    let numerator = i128::from(position.quantity.0) * SATS_PER_BTC * CENTS * difference;
    to_sats(round_half_up(numerator, reference * now))
}

/// The quoted liquidation price for a margin, in whole ticks.
///
/// Long `1 / (1/P + M/(S·Q))`, short `1 / (1/P − M/(S·Q))`; a short that cannot be liquidated has
/// the highest price the exchange knows.
pub fn liquidation(side: Side, quantity: Usd, price: Price, margin: Sats) -> Price {
    let reference = i128::from(price.cents());
    let notional_cents = i128::from(quantity.0) * SATS_PER_BTC * CENTS;
    let margin_share = i128::from(margin.0) * reference;
    let denominator = match side {
        Side::Buy => notional_cents + margin_share,
        Side::Sell => notional_cents - margin_share,
    };
    if denominator <= 0 {
        return Price::MAX;
    }
    // Cents, rounded to the nearest, are fine enough to find the nearest half dollar.
    let tick_halves = (notional_cents * reference * 2 + 50 * denominator) / (100 * denominator);
    Price::to_tick((tick_halves * 50).max(0) as u128)
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

/// Effective leverage `Q·S/(M·P)`.
pub fn leverage(quantity: Usd, price: Price, margin: Sats) -> f64 {
    quantity.0 as f64 * SATS_PER_BTC as f64 / (margin.0.max(1) as f64 * price.usd())
}

/// The exchange's margin ratio: of a trade `maintenanceMargin / (margin + maintenanceMargin + P&L)`,
/// of a cross position `maintenanceMargin / (margin + P&L)`; 1 at liquidation, infinite from where
/// nothing is left to divide by.
pub fn margin_ratio(position: &Position, at: Price) -> f64 {
    let left = free_margin(position) + position.maintenance_margin + pl(position, at);
    if left.0 <= 0 {
        return f64::INFINITY;
    }
    position.maintenance_margin.0 as f64 / left.0 as f64
}

/// The share of the margin that is lost: `loss / margin`, of a cross position `loss / (margin −
/// maintenanceMargin)`; 0 in profit, 1 at liquidation.
pub fn margin_used(position: &Position, at: Price) -> f64 {
    let (loss, margin) = ((-pl(position, at)).or_zero(), free_margin(position));
    if margin.0 <= 0 {
        return if loss.0 > 0 { f64::INFINITY } else { 0.0 };
    }
    loss.0 as f64 / margin.0 as f64
}

/// How far the price is from liquidation, as a fraction of the price; negative beyond it.
///
/// Signed on purpose: a price that jumped past the liquidation is the worst danger there is, not a
/// growing distance.
pub fn liquidation_distance(position: &Position, at: Price) -> f64 {
    let (price, liquidation) = (at.usd(), position.liquidation.usd());
    match position.side {
        Side::Buy => (price - liquidation) / price,
        Side::Sell => (liquidation - price) / price,
    }
}

fn round_half_up(numerator: i128, denominator: i128) -> i128 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

fn to_sats(amount: i128) -> Sats {
    Sats(amount.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    /// Example A of the protocol sheet: long 1000 USD at 100,000, 10x, tier 1.
    fn example_a() -> Position {
        Position::sample(Side::Buy, 1000, 100_000.0, 10)
    }

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
    fn liquidation_prices_by_leverage_are_those_of_the_sheet() {
        let table = [
            (1, 50_000.0, 100_000_000.0),
            (2, 66_666.5, 200_000.0),
            (3, 75_000.0, 150_000.0),
            (5, 83_333.5, 125_000.0),
            (10, 90_909.0, 111_111.0),
            (25, 96_154.0, 104_166.5),
            (50, 98_039.0, 102_041.0),
            (100, 99_010.0, 101_010.0),
        ];
        for (leverage, long, short) in table {
            let at = |side| Position::sample(side, 1000, 100_000.0, leverage).liquidation;
            assert_eq!(at(Side::Buy), price(long), "{leverage}x long");
            assert_eq!(at(Side::Sell), price(short), "{leverage}x short");
        }
        let odd = Position::sample(Side::Buy, 12_345, 60_000.5, 25);
        assert_eq!(
            (odd.margin, odd.liquidation),
            (Sats(822_993), price(57_693.0))
        );
        let short = Position::sample(Side::Sell, 2500, 64_000.5, 20);
        assert_eq!(
            (short.margin, short.liquidation),
            (Sats(195_310), price(67_369.0))
        );
        assert_eq!(pl(&short, price(65_000.0)), Sats(-60_066));
        assert_eq!(pl(&short, price(60_000.0)), Sats(260_447));
    }

    #[test]
    fn the_three_metrics_follow_the_table_of_the_sheet() {
        let trade = example_a();
        let table = [
            (100_000.0, 9.09, 0.0, 1.09),
            (96_000.0, 5.30, 41.7, 1.85),
            (93_000.0, 2.25, 75.3, 4.26),
            (91_000.0, 0.10, 98.9, 50.0),
        ];
        for (at, distance, used, ratio) in table {
            let at = price(at);
            assert!((liquidation_distance(&trade, at) * 100.0 - distance).abs() < 0.006);
            assert!((margin_used(&trade, at) * 100.0 - used).abs() < 0.06);
            assert!((margin_ratio(&trade, at) * 100.0 - ratio).abs() < 0.06);
        }
        assert_eq!(margin_ratio(&trade, price(90_000.0)), f64::INFINITY);
        assert!(liquidation_distance(&trade, price(90_000.0)) < 0.0);
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
}
