//! Whether a take-profit or stop-loss was set: the trade shows it.

use serde_json::json;

use super::super::super::connection::Learned;
use super::super::super::shared::Shared;
use super::super::super::work::{Step, Work};
use super::super::{Next, record};
use super::{Doubt, Found, find, not_yet, nowhere, unread};
use crate::domain::execution::Action;

pub(super) async fn prove(shared: &Shared, work: Work, doubt: Doubt) -> Next {
    let trade = match find(shared, &work).await {
        Ok(Found::Running(trade)) => trade,
        // A stop of a trade that has ended is of no use to anybody, whoever ended it.
        Ok(Found::Ended(closed)) => {
            work.account.connection.tell(Learned::Closed(work.position));
            let evidence = json!({ "exitPrice": closed.exit_price, "pl": closed.pl });
            return record::fail(shared, work, "position_gone".to_owned(), evidence).await;
        }
        Ok(Found::Nowhere) => return nowhere(shared, work).await,
        Err(error) => return unread(shared, work, &error),
    };
    let is_set = match doubt.action {
        Action::UpdateTp { to } => trade.takeprofit == Some(to),
        Action::UpdateSl { to } => trade.stoploss == Some(to) && trade.trailing_distance.is_none(),
        _ => false,
    };
    if !is_set {
        return not_yet(shared, work, "the trade shows another value").await;
    }
    let outcome = json!({
        "proof": "the trade shows it", "takeprofit": trade.takeprofit, "stoploss": trade.stoploss,
    });
    let action = doubt.action;
    Next::step(work, Step::Record { action, outcome })
}
