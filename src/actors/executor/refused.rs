//! What becomes of an execution whose request was refused, or not answered.

use serde_json::json;

use super::super::connection::Learned;
use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::again::{not_sent, obey};
use super::{Next, fallback, record, reopen, store_failed};
use crate::domain::execution::{Action, Before};
use crate::exchange::{Class, ExchangeError};

/// What follows an answer that says no, or none.
pub(super) async fn refused(
    shared: &Shared,
    work: Work,
    action: Action,
    before: Before,
    error: &ExchangeError,
) -> Next {
    let prove = |refusal| Step::prove(action, Some(before), refusal);
    match error.class {
        Class::Unknown => Next::step(work, prove(None)),
        _ if let Action::Reopen(kept) = action => reopen::refused(shared, work, kept, error).await,
        // Known not to have been applied. Where the account has got other credentials meanwhile, they
        // are not refused.
        Class::Retryable { .. } if !action.is_idempotent() => {
            take_back(shared, work, action, before, error).await
        }
        Class::Unauthorized if shared.has_other_credentials(&work.account) => {
            take_back(shared, work, action, before, error).await
        }
        // Perhaps applied. A close that were repeated blindly would hide what became of the first.
        Class::Retryable { after } => {
            obey(shared, &work.account, error);
            let at = shared.clock.mono() + after.unwrap_or_default();
            let step = prove(None);
            Next::again(Work { step, ..work }, at)
        }
        // Perhaps because it is done already: never reported as failed unread.
        Class::Rejected if action.is_idempotent() => {
            Next::step(work, prove(Some(error.to_string())))
        }
        Class::Rejected | Class::ScopeMissing => {
            work.account.connection.tell(Learned::CommandRefused);
            let evidence = json!({ "error": error.to_string() });
            let reason = format!("rejected: {error}");
            if action.adds_margin() {
                fallback::nothing_added(shared, work, reason, evidence).await
            } else {
                record::fail(shared, work, reason, evidence).await
            }
        }
        Class::Unauthorized | Class::Blocked => {
            work.account.connection.tell(Learned::CommandRefused);
            let evidence = json!({ "error": error.to_string() });
            record::fail(shared, work, format!("refused: {error}"), evidence).await
        }
    }
}

/// Takes back what was not applied, to be sent again later.
async fn take_back(
    shared: &Shared,
    work: Work,
    action: Action,
    before: Before,
    error: &ExchangeError,
) -> Next {
    let (text, now) = (error.to_string(), shared.clock.utc());
    match shared.journal.back_to_planned(work.id, &text, now).await {
        Ok(()) => not_sent(shared, work, error, "sending").await,
        Err(error) => {
            let step = Step::prove(action, Some(before), None);
            store_failed(shared, Work { step, ..work }, &error)
        }
    }
}

/// The whole account is refused: the next attempt would be too, unless it has got other credentials
/// meanwhile.
pub(super) async fn refused_for_good(shared: &Shared, work: Work, error: &ExchangeError) -> Next {
    if shared.has_other_credentials(&work.account) {
        return not_sent(shared, work, error, "asking with credentials of before").await;
    }
    obey(shared, &work.account, error);
    let evidence = json!({ "error": error.to_string() });
    record::fail(shared, work, format!("refused: {error}"), evidence).await
}
