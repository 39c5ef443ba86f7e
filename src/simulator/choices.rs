//! What nobody outside knows of the exchange, and what is done about it here.

use std::time::Duration;

/// Most open and running trades of one account, and most open cross orders.
const MAX_LIVE: usize = 50;

/// Where the protocol is unknown: the likely answer by default, and another one to test against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Status when a trade is not in a state that allows a command: 400, or 404 or 409.
    pub wrong_state_status: u16,
    /// Whether the margin of a trade by quantity is rounded up instead of down.
    pub margin_rounds_up: bool,
    /// Whether stop-loss and take-profit exit at the quote instead of at their own level.
    pub stops_exit_at_quote: bool,
    /// Whether funding that an isolated trade receives goes to its margin instead of the balance.
    pub funding_revenue_to_margin: bool,
    /// Most open and running isolated trades of an account; as many cross orders may be open.
    pub max_live_trades: usize,
    /// Whether a `clientId` that a live trade or open order has already is refused.
    pub unique_client_ids: bool,
    /// Whether a private topic is granted without authentication, and never tells anything.
    pub silent_private_topics: bool,
    /// How long a closed trade or a filled order is in no list yet.
    pub closed_lag: Duration,
}

impl Default for Choices {
    fn default() -> Self {
        Choices {
            wrong_state_status: 400,
            margin_rounds_up: false,
            stops_exit_at_quote: false,
            funding_revenue_to_margin: false,
            max_live_trades: MAX_LIVE,
            unique_client_ids: false,
            silent_private_topics: false,
            closed_lag: Duration::ZERO,
        }
    }
}
