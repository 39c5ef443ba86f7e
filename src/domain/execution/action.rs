//! What an execution does at the exchange.

use serde::{Deserialize, Serialize};

use super::Reopening;
use crate::domain::position::{MarginMode, Side};
use crate::domain::units::{Price, Sats, Usd};

/// What an execution does at the exchange: one command, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Closes the trade.
    ClosePosition,
    /// Adds margin to the trade.
    AddMargin {
        /// How much, in satoshis.
        amount: Sats,
    },
    /// First leg of a reduction: closes the trade, of which so much is to be opened again.
    CloseToReopen {
        /// What is kept, in whole USD.
        keep: Usd,
    },
    /// Second leg of a reduction: opens what is kept.
    Reopen(Reopening),
    /// Sets the trade's take-profit.
    UpdateTp {
        /// The new price.
        to: Price,
    },
    /// Sets the trade's stop-loss, fixed.
    UpdateSl {
        /// The new price.
        to: Price,
    },
    /// Opens a trade of its own.
    Open(Opening),
    /// Closes the cross position, which looks this way.
    CrossClose {
        /// Long or short.
        side: Side,
    },
    /// Takes something off the cross position by an order on the other side.
    CrossReduce {
        /// The order's side.
        side: Side,
        /// The order's size, in whole USD.
        quantity: Usd,
    },
    /// Moves balance into the cross account.
    CrossDeposit {
        /// How much, in satoshis.
        amount: Sats,
    },
    /// Adds to the cross position, or opens it.
    CrossOpen(Opening),
}

/// An entry at the market.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// Long or short.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Leverage.
    pub leverage: f64,
    /// Stop-loss set with it.
    pub stoploss: Option<Price>,
    /// Take-profit set with it.
    pub takeprofit: Option<Price>,
}

impl Action {
    /// All names that actions have.
    pub const NAMES: [&str; 11] = [
        "close_position",
        "add_margin",
        "close_to_reopen",
        "reopen",
        "update_tp",
        "update_sl",
        "open",
        "cross_close",
        "cross_reduce",
        "cross_deposit",
        "cross_open",
    ];

    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClosePosition => "close_position",
            Self::AddMargin { .. } => "add_margin",
            Self::CloseToReopen { .. } => "close_to_reopen",
            Self::Reopen(_) => "reopen",
            Self::UpdateTp { .. } => "update_tp",
            Self::UpdateSl { .. } => "update_sl",
            Self::Open(_) => "open",
            Self::CrossClose { .. } => "cross_close",
            Self::CrossReduce { .. } => "cross_reduce",
            Self::CrossDeposit { .. } => "cross_deposit",
            Self::CrossOpen(_) => "cross_open",
        }
    }

    /// Whether sending it twice has the effect of once.
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::ClosePosition
            | Self::CloseToReopen { .. }
            | Self::UpdateTp { .. }
            | Self::UpdateSl { .. }
            | Self::CrossClose { .. } => true,
            Self::AddMargin { .. }
            | Self::Reopen(_)
            | Self::Open(_)
            | Self::CrossReduce { .. }
            | Self::CrossDeposit { .. }
            | Self::CrossOpen(_) => false,
        }
    }

    /// Whether it adds margin: two of that kind at once could not be told apart by a proof.
    pub fn adds_margin(self) -> bool {
        matches!(self, Self::AddMargin { .. } | Self::CrossDeposit { .. })
    }

    /// What it adds to margin, where it does.
    pub fn added(self) -> Option<Sats> {
        match self {
            Self::AddMargin { amount } | Self::CrossDeposit { amount } => Some(amount),
            _ => None,
        }
    }

    /// Whether the position is closed by it as a whole.
    pub fn closes(self) -> bool {
        matches!(self, Self::ClosePosition | Self::CrossClose { .. })
    }

    /// Which margin it acts on.
    pub fn mode(self) -> MarginMode {
        match self {
            Self::CrossClose { .. }
            | Self::CrossReduce { .. }
            | Self::CrossDeposit { .. }
            | Self::CrossOpen(_) => MarginMode::Cross,
            _ => MarginMode::Isolated,
        }
    }
}
