//! How near a position is to its liquidation, in three measures.

use super::{free_margin, pl};
use crate::domain::position::{Position, Side};
use crate::domain::units::Price;

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
