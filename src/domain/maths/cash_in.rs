//! Cash-in: taking profit, then margin, out of a running trade.
//!
//! It always moves liquidation towards the market, so no rule ever does it; an owner may, and the
//! book must understand what became of the trade.

use super::isolated::{leverage, liquidation, pl, price_of_profit};
use super::{MOST_LEVERAGE, notional_cents};
use crate::domain::position::{Position, Side};
use crate::domain::units::{Price, Sats};

/// Why a cash-in is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CashInRefused {
    /// Nothing would be left of the margin.
    #[error("no margin would be left")]
    NoMarginLeft,
    /// The leverage would be over [`MOST_LEVERAGE`].
    #[error("the leverage would be over {MOST_LEVERAGE}")]
    LeverageTooHigh,
}

/// The trade once `amount` satoshis were taken out of it while the market is at `market`.
///
/// Profit goes first: the reference price moves towards the market until what is left of the P&L
/// is `pl − amount`. What exceeds the profit is taken from the margin. A stop-loss that is beyond
/// the new liquidation price is dropped; the entry price stays.
///
/// # Errors
/// The exchange would refuse it.
pub fn cashed_in(
    position: &Position,
    market: Price,
    amount: Sats,
) -> Result<Position, CashInRefused> {
    let profit = pl(position, market).or_zero();
    let price = if profit == Sats::ZERO {
        position.price
    } else if amount < profit {
        price_of_profit(position.side, position.quantity, position.price, amount)
    } else {
        market
    };
    let from_margin = (amount - profit).or_zero();
    let margin = position.margin - from_margin;
    if margin.0 < 1 {
        return Err(CashInRefused::NoMarginLeft);
    }
    let carried = i128::from(MOST_LEVERAGE) * i128::from(margin.0) * i128::from(price.cents());
    if notional_cents(position.quantity) > carried {
        return Err(CashInRefused::LeverageTooHigh);
    }
    let liquidation = liquidation(position.side, position.quantity, price, margin);
    let is_within = |stop: &Price| match position.side {
        Side::Buy => liquidation <= *stop,
        Side::Sell => liquidation >= *stop,
    };
    Ok(Position {
        price,
        margin,
        leverage: leverage(position.quantity, price, margin),
        liquidation,
        stoploss: position.stoploss.filter(is_within),
        sum_cash_in_margin: position.sum_cash_in_margin + from_margin,
        ..position.clone()
    })
}
