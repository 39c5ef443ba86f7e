//! Whether a trade was closed: it is where the exchange lists it.

use serde_json::json;

use super::super::super::connection::Learned;
use super::super::super::shared::Shared;
use super::super::super::work::{Step, Work};
use super::super::{Next, command, record};
use super::{Doubt, Found, find, not_yet, nowhere, unread};
use crate::domain::execution::{Action, ended_by_itself};
use crate::exchange::ClosedTrade;

pub(super) async fn prove(shared: &Shared, work: Work, doubt: Doubt) -> Next {
    let found = match find(shared, &work).await {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    let doubted = work.doubted || !doubt.refused;
    let work = Work { doubted, ..work };
    match found {
        Found::Nowhere => nowhere(shared, work).await,
        Found::Running(_) => not_yet(shared, work, "the trade still runs").await,
        // Refused, and no earlier request of ours can have closed it: somebody else did.
        Found::Ended(closed) if !doubted => {
            work.account.connection.tell(Learned::Closed(work.position));
            let evidence = json!({ "exitPrice": closed.exit_price, "pl": closed.pl });
            record::fail(shared, work, "position_gone".to_owned(), evidence).await
        }
        // What its own stop has closed is not opened again.
        Found::Ended(closed) if reopens(doubt.action) && by_itself(&closed) => {
            work.account.connection.tell(Learned::Closed(work.position));
            let evidence = json!({ "exitPrice": closed.exit_price, "pl": closed.pl });
            record::fail(shared, work, "position_gone".to_owned(), evidence).await
        }
        Found::Ended(closed) => {
            work.account.connection.tell(Learned::Closed(work.position));
            let mut outcome = command::closing(&closed);
            outcome["proof"] = json!("the trade is closed");
            let then = command::kept(doubt.action, &closed, doubt.requested_at);
            let step = match then {
                Some(then) => Step::FirstLegDone { then, outcome },
                None => Step::Record {
                    action: doubt.action,
                    outcome,
                },
            };
            Next::step(work, step)
        }
    }
}

fn reopens(action: Action) -> bool {
    matches!(action, Action::CloseToReopen { .. })
}

fn by_itself(closed: &ClosedTrade) -> bool {
    closed
        .exit_price
        .is_some_and(|exit| ended_by_itself(&closed.position, exit))
}
