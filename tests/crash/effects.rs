//! What of the exchange's ledger could be a rule's doing.

use vigia::domain::ids::ExecutionId;
use vigia::simulator::{LedgerEntry, LedgerKind, LedgerSource};

/// Whether it could be a rule's doing: an owner's orders have client ids of their own.
pub fn is_an_effect(entry: &LedgerEntry) -> bool {
    let acts = match entry.kind {
        LedgerKind::MarginAdded
        | LedgerKind::Closed
        | LedgerKind::StoplossSet
        | LedgerKind::TakeprofitSet
        | LedgerKind::CrossDeposited
        | LedgerKind::CrossClosed => true,
        LedgerKind::Filled | LedgerKind::CrossFilled => {
            let id = entry.client_id.as_deref().unwrap_or_default();
            ExecutionId::of_client_id(id).is_some()
        }
        _ => false,
    };
    acts && entry.source == LedgerSource::Api
}
