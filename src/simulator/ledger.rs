//! The permanent list of everything that was really applied to an account.
//!
//! A test of the client counts effects here and nowhere else: an answer that was lost still has
//! its entry, an answer that was invented has none.

use serde::Serialize;
use uuid::Uuid;

/// What was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// A limit order was placed; `amount` is its margin.
    Opened,
    /// A market order was executed, or a limit order triggered; `amount` is its margin.
    Filled,
    /// An open order was withdrawn; `amount` is what returned to the balance.
    Canceled,
    /// The user closed a trade; `amount` is the realised profit or loss.
    Closed,
    /// `amount` satoshis moved from the balance into a trade.
    MarginAdded,
    /// `amount` satoshis moved from a trade to the balance.
    CashedIn,
    /// A stop-loss was set, replaced or (price 0) removed.
    StoplossSet,
    /// A take-profit was set, replaced or (price 0) removed.
    TakeprofitSet,
    /// The trade was liquidated; `amount` is the loss.
    Liquidated,
    /// The stop-loss closed the trade; `amount` is the realised profit or loss.
    StoplossHit,
    /// The take-profit closed the trade; `amount` is the realised profit or loss.
    TakeprofitHit,
    /// A funding settlement; `amount` is the fee, positive when paid.
    Funding,
    /// `amount` satoshis moved from the balance into the cross margin.
    CrossDeposited,
    /// `amount` satoshis moved from the cross margin to the balance.
    CrossWithdrawn,
    /// A cross limit order was placed.
    CrossOpened,
    /// A cross order was executed, at the market or by its limit; `amount` is its fee.
    CrossFilled,
    /// A cross limit order was withdrawn.
    CrossCanceled,
    /// The user closed the cross position; `amount` is the fee of the closing order.
    CrossClosed,
    /// The cross position was liquidated; `amount` is the change of the margin.
    CrossLiquidated,
    /// The leverage of the cross position was set; `amount` is the leverage.
    CrossLeverageSet,
    /// A funding settlement of the cross position; `amount` is the fee, positive when paid.
    CrossFunding,
}

/// Who caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerSource {
    /// A signed request.
    Api,
    /// The exchange itself: a price that triggered something, a settlement.
    Engine,
}

/// One applied change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerEntry {
    /// Position in the ledger, from 1, without gaps.
    pub seq: u64,
    /// Server time, milliseconds since 1970.
    pub time: i64,
    /// API key of the account.
    pub key: String,
    /// The trade that changed; of cross margin the order, or the position where there is none.
    pub trade_id: Uuid,
    /// What was applied.
    pub kind: LedgerKind,
    /// Satoshis, meaning by kind; `None` where no satoshis moved.
    pub amount: Option<i64>,
    /// US dollars that a cross order bought, negative when sold; `None` for all else.
    pub quantity: Option<i64>,
    /// Price of the change in USD: fill, exit, stop or fixing; `None` where there is none.
    pub price: Option<f64>,
    /// Balance of the account afterwards, satoshis.
    pub balance_after: i64,
    /// `clientId` of the trade or order.
    pub client_id: Option<String>,
    /// The `lnm-access-timestamp` of the request, milliseconds, for changes by API.
    pub request_timestamp: Option<i64>,
    /// Who caused it.
    pub source: LedgerSource,
}

/// The list itself. It grows as long as the simulator runs, on purpose: a test counts from the
/// beginning, and a long demonstration applies a few entries a minute.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Appends, numbering the entry.
    pub(super) fn push(&mut self, mut entry: LedgerEntry) {
        entry.seq = self.entries.len() as u64 + 1;
        self.entries.push(entry);
    }

    pub(super) fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }
}
