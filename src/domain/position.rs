//! A running isolated trade, as the exchange reports it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::PositionId;
use super::units::{Price, Sats, Usd};

/// Which way a position looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Long: gains when the price rises.
    Buy,
    /// Short: gains when the price falls.
    Sell,
}

impl Side {
    /// `long` or `short`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Buy => "long",
            Self::Sell => "short",
        }
    }
}

/// A running isolated trade. Margin, liquidation and maintenance margin are always the exchange's
/// own figures, never ours: its rounding decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The trade's id.
    pub id: PositionId,
    /// Long or short.
    pub side: Side,
    /// Size in whole USD; fixed for the life of a trade.
    pub quantity: Usd,
    /// Margin in satoshis, without the maintenance reserve.
    pub margin: Sats,
    /// What is left of the fee reserve, in satoshis; slightly negative in rare cases.
    pub maintenance_margin: Sats,
    /// Reference price of the P&L (moves with cash-in).
    pub price: Price,
    /// Price of the first fill.
    pub entry_price: Price,
    /// Effective leverage now.
    pub leverage: f64,
    /// Quoted liquidation price.
    pub liquidation: Price,
    /// Stop-loss price, if one is set.
    pub stoploss: Option<Price>,
    /// Take-profit price, if one is set.
    pub takeprofit: Option<Price>,
    /// Whether the stop-loss trails the price.
    pub trailing: bool,
    /// Opening fee paid, in satoshis.
    pub opening_fee: Sats,
    /// Net funding so far, in satoshis; positive was paid.
    pub sum_funding_fees: Sats,
    /// All that was ever cashed in from the margin, in satoshis.
    pub sum_cash_in_margin: Sats,
    /// The client id given when it was opened.
    pub client_id: Option<String>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
}

#[cfg(any(test, feature = "failpoints"))]
impl Position {
    /// A position of `quantity` USD at `price` with whole leverage, as the exchange would open it;
    /// for tests.
    pub fn sample(side: Side, quantity: i64, price: f64, leverage: i64) -> Self {
        let price = Price::from_usd(price).unwrap_or(Price::MIN);
        let notional = super::maths::notional(Usd(quantity), price);
        let margin = Sats(notional.0 / leverage);
        let liquidation = super::maths::liquidation(side, Usd(quantity), price, margin);
        let opening_fee = Sats(notional.0 / 1000);
        Self {
            id: PositionId(uuid::Uuid::from_u128(quantity as u128)),
            side,
            quantity: Usd(quantity),
            margin,
            maintenance_margin: Sats(super::maths::notional(Usd(quantity), liquidation).0 / 1000),
            price,
            entry_price: price,
            leverage: leverage as f64,
            liquidation,
            stoploss: None,
            takeprofit: None,
            trailing: false,
            opening_fee,
            sum_funding_fees: Sats::ZERO,
            sum_cash_in_margin: Sats::ZERO,
            client_id: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }
}
