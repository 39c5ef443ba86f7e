//! Whether margin was added to a trade: by its margin, what was cashed in of it, and its funding.

use serde_json::json;

use super::super::super::shared::Shared;
use super::super::super::work::{Step, Work};
use super::super::Next;
use super::{Doubt, Found, conclude, find, nowhere, unread};
use crate::domain::execution::Action;
use crate::domain::proof::{self, Reading, Verdict};
use crate::domain::units::Sats;

pub(super) async fn prove(shared: &Shared, mut work: Work, doubt: Doubt, amount: Sats) -> Next {
    let trade = match find(shared, &work).await {
        Ok(Found::Running(trade)) => trade,
        Ok(Found::Ended(closed)) => closed.position,
        Ok(Found::Nowhere) => return nowhere(shared, work).await,
        Err(error) => return unread(shared, work, &error),
    };
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let funding = rest
        .funding_cost_since(who, work.position, doubt.before.signed_at)
        .await;
    let funding_since = match funding {
        Ok(funding) => funding,
        Err(error) => return unread(shared, work, &error),
    };
    let reading = Reading {
        requested_at: doubt.requested_at,
        margin: trade.margin,
        sum_cash_in_margin: trade.sum_cash_in_margin,
        funding_since,
    };
    let Step::Prove { readings, .. } = &mut work.step else {
        return Next::step(work, Step::LookUp);
    };
    readings.push(reading);
    let verdict = proof::add_margin(&doubt.before, amount, readings, &shared.tuning.proof);
    let evidence = json!({ "before": doubt.before, "readings": readings, "amount": amount });
    if verdict == Verdict::Applied {
        let step = Step::Record {
            action: Action::AddMargin { amount },
            outcome: json!({ "proof": evidence }),
        };
        return Next::step(work, step);
    }
    conclude(shared, work, verdict, evidence).await
}
