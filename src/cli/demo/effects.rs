//! What the journal says was done at the exchange, and what the simulator's ledger says was applied,
//! in words that can be held against each other.

use crate::domain::execution::{Action, State};
use crate::domain::units::Price;
use crate::journal::Execution;
use crate::simulator::{LedgerEntry, LedgerKind, LedgerSource};

/// One effect, as text that is the same on both sides.
pub(super) type Effect = String;

/// What an execution should have left at the exchange; more than one entry where it has two legs.
/// `account` is the account's name, which in the demo is its key.
pub(super) fn expected(execution: &Execution, account: &str) -> Vec<Effect> {
    let (position, client_id) = (execution.position.0, execution.id.client_id());
    let closed = format!("{position} closed");
    if is_half(execution) {
        return vec![closed];
    }
    if execution.state != State::Done {
        return vec![];
    }
    match execution.action {
        Action::ClosePosition | Action::CloseToReopen { .. } => vec![closed],
        Action::Reopen(_) => vec![closed, format!("{client_id} filled")],
        Action::AddMargin { amount } => vec![format!("{position} {} added", amount.0)],
        Action::UpdateTp { to } => vec![format!("{position} take-profit {to}")],
        Action::UpdateSl { to } => vec![format!("{position} stop-loss {to}")],
        Action::Open(_) => vec![format!("{client_id} filled")],
        Action::CrossReduce { .. } | Action::CrossOpen(_) => vec![format!("{client_id} ordered")],
        // The order that closes bears no client id, and in the ledger no position.
        Action::CrossClose { .. } => vec![format!("{account} cross closed")],
        Action::CrossDeposit { amount } => vec![format!("{position} {} deposited", amount.0)],
    }
}

/// Whether it is half a reduction: its first leg was applied, its second refused.
pub(super) fn is_half(execution: &Execution) -> bool {
    execution.state == State::Failed && execution.reason.as_deref() == Some("closed_not_reopened")
}

/// What an entry of the ledger tells of a command; none of what the exchange did by itself. Setting
/// the cross leverage is left out: it is a setting, made before an order that wants another, and
/// setting it again changes nothing.
pub(super) fn applied(entry: &LedgerEntry) -> Option<Effect> {
    if entry.source != LedgerSource::Api || entry.kind == LedgerKind::CrossLeverageSet {
        return None;
    }
    let trade = entry.trade_id;
    let client_id = entry.client_id.as_deref().unwrap_or_default();
    let amount = entry.amount.unwrap_or_default();
    let price = || entry.price.and_then(Price::from_usd);
    Some(match entry.kind {
        LedgerKind::Closed => format!("{trade} closed"),
        LedgerKind::Filled | LedgerKind::Opened => format!("{client_id} filled"),
        LedgerKind::MarginAdded => format!("{trade} {amount} added"),
        LedgerKind::TakeprofitSet => format!("{trade} take-profit {}", price()?),
        LedgerKind::StoplossSet => format!("{trade} stop-loss {}", price()?),
        LedgerKind::CrossFilled | LedgerKind::CrossOpened => format!("{client_id} ordered"),
        LedgerKind::CrossClosed => format!("{} cross closed", entry.key),
        LedgerKind::CrossDeposited => format!("{trade} {amount} deposited"),
        // Whatever else a command did, no automation wanted it: it counts as one too many.
        other => format!("{} {trade} {other:?}", entry.key),
    })
}
