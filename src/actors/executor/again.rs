//! What was not sent, or known not to have been applied, and is tried again later.

use std::time::Duration;

use serde_json::json;

use super::super::connection::{Learned, refusal_of};
use super::super::obey;
use super::super::shared::{Account, Shared};
use super::super::work::{Step, Work};
use super::{Next, record};
use crate::domain::execution::UNAVAILABLE;
use crate::exchange::ExchangeError;
use crate::telemetry::Event;

/// Between two attempts lies at least this.
pub(super) const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// Silence after a 429, or for as long as was asked; and the connection learns what was refused to
/// the whole account.
pub(super) fn obey(shared: &Shared, account: &Account, error: &ExchangeError) {
    obey::obey(shared, account, error);
    if let Some(refusal) = refusal_of(error)
        && !shared.has_other_credentials(account)
    {
        account.connection.tell(Learned::Refused(refusal));
    }
}

/// Tries again later, as long as attempts are left. Nothing is sent before the last look was taken
/// anew.
pub(super) async fn not_sent(
    shared: &Shared,
    mut work: Work,
    error: &ExchangeError,
    doing: &str,
) -> Next {
    obey(shared, &work.account, error);
    work.attempts += 1;
    if work.attempts >= work.most_attempts(shared.tuning.attempts) {
        let evidence = json!({ "attempts": work.attempts, "error": error.to_string() });
        let reason = format!("{UNAVAILABLE}: {error}");
        return record::fail(shared, work, reason, evidence).await;
    }
    let (now, roll) = (shared.clock.mono(), shared.clock.roll());
    let pause = shared
        .tuning
        .retry
        .delay(work.attempts - 1, roll)
        .max(LEAST_PAUSE);
    shared.events.emit(Event::Deferred {
        account: work.account.tag.clone(),
        execution: work.id,
        why: format!("{doing}: {error}"),
        delay_ms: pause.as_millis() as u64,
    });
    Next::again(
        Work {
            step: Step::Send,
            ..work
        },
        now + pause,
    )
}
