//! A position: a running isolated trade or the account's cross position, as the exchange reports it.

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
    /// The other side.
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// `b` or `s`, as the old worker's readers know it.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Buy => "b",
            Self::Sell => "s",
        }
    }

    /// `long` or `short`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Buy => "long",
            Self::Sell => "short",
        }
    }
}

/// How a position's margin is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarginMode {
    /// A trade of its own with a margin of its own.
    #[default]
    Isolated,
    /// The one net position of the account's cross margin.
    Cross,
}

impl MarginMode {
    /// The name under which it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::Cross => "cross",
        }
    }
}

/// A running isolated trade, or the cross position. Margin, liquidation and maintenance margin are
/// always the exchange's own figures, never ours: its rounding decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The trade's id; the account's cross position always has the same.
    pub id: PositionId,
    /// How its margin is held.
    #[serde(default)]
    pub mode: MarginMode,
    /// Long or short.
    pub side: Side,
    /// Size in whole USD, without a sign; fixed for the life of a trade, not of a cross position.
    pub quantity: Usd,
    /// Margin in satoshis: of a trade without the maintenance reserve; of a cross position all that
    /// the cross account holds.
    pub margin: Sats,
    /// Of a trade what is left of the fee reserve, in satoshis, slightly negative in rare cases; of a
    /// cross position the maintenance margin.
    pub maintenance_margin: Sats,
    /// Reference price of the P&L (moves with cash-in).
    pub price: Price,
    /// Price of the first fill.
    pub entry_price: Price,
    /// Effective leverage now; of a cross position the leverage that is set.
    pub leverage: f64,
    /// Quoted liquidation price.
    pub liquidation: Price,
    /// Stop-loss price, if one is set.
    pub stoploss: Option<Price>,
    /// Take-profit price, if one is set.
    pub takeprofit: Option<Price>,
    /// How far a trailing stop-loss trails the price, as the exchange gave it; `None` for a fixed one.
    #[serde(default)]
    pub trailing_distance: Option<f64>,
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
            mode: MarginMode::Isolated,
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
            trailing_distance: None,
            opening_fee,
            sum_funding_fees: Sats::ZERO,
            sum_cash_in_margin: Sats::ZERO,
            client_id: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    /// A cross position of `quantity` USD at `price` in a cross account that holds `margin`; for
    /// tests.
    pub fn sample_cross(
        side: Side,
        quantity: i64,
        price: f64,
        leverage: i64,
        margin: Sats,
    ) -> Self {
        let sample = Self::sample(side, quantity, price, leverage);
        let notional = super::maths::notional(Usd(quantity), sample.price);
        let maintenance_margin = Sats(notional.0 * 15 / 10_000);
        let free = margin - maintenance_margin;
        Self {
            mode: MarginMode::Cross,
            margin,
            maintenance_margin,
            liquidation: super::maths::liquidation(side, Usd(quantity), sample.price, free),
            ..sample
        }
    }
}
