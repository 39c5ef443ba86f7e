//! Whether an order or a deposit was applied: the exchange lists it under our client id, or at its
//! time and with its amount.

use chrono::Duration;
use serde_json::{Value, json};

use super::super::super::connection::Learned;
use super::super::super::shared::Shared;
use super::super::super::work::{Step, Work};
use super::super::{Next, command, record};
use super::{Doubt, conclude, cross, turned, unread};
use crate::domain::execution::Action;
use crate::domain::proof;
use crate::domain::units::Sats;
use crate::exchange::FoundTrade;

/// A request may have arrived so much before its signature by the exchange's clock.
const CLOCKS_DIFFER: Duration = Duration::seconds(1);

pub(super) async fn of_trade(shared: &Shared, work: Work, doubt: Doubt) -> Next {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let (client_id, signed_at) = (work.id.client_id(), doubt.before.signed_at);
    let found = match rest.by_client_id(who, &client_id, signed_at).await {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    let Some(found) = found else {
        return absent(shared, work, &doubt).await;
    };
    let (list, id) = (
        found.as_str(),
        match &found {
            FoundTrade::Open(order) | FoundTrade::Canceled(order) => order.id,
            FoundTrade::Running(trade) => trade.id,
            FoundTrade::Closed(closed) => closed.position.id,
        },
    );
    let key = match doubt.action {
        Action::Reopen(_) => "successorId",
        _ => "tradeId",
    };
    let outcome = json!({ "proof": format!("found among the {list} trades"), key: id });
    if let FoundTrade::Running(trade) = found {
        let spent = Sats::ZERO;
        work.account
            .connection
            .tell(Learned::Answered(trade, spent));
    }
    done(work, doubt.action, outcome)
}

pub(super) async fn of_order(shared: &Shared, work: Work, doubt: Doubt) -> Next {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let (client_id, signed_at) = (work.id.client_id(), doubt.before.signed_at);
    let found = match rest
        .cross_order_by_client_id(who, &client_id, signed_at)
        .await
    {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    let Some(order) = found else {
        return absent(shared, work, &doubt).await;
    };
    let mut outcome = command::ordered(&order);
    outcome["proof"] = json!("found among the orders");
    let found = match cross::read(shared, &work).await {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    if let Action::CrossReduce { side, .. } = doubt.action
        && found == Some(side)
    {
        return turned(shared, work, outcome).await;
    }
    done(work, doubt.action, outcome)
}

pub(super) async fn of_deposit(shared: &Shared, work: Work, doubt: Doubt, amount: Sats) -> Next {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let since = doubt.before.signed_at - CLOCKS_DIFFER;
    let transfers = match rest.cross_transfers_since(who, since).await {
        Ok(transfers) => transfers,
        Err(error) => return unread(shared, work, &error),
    };
    let ours: Vec<_> = transfers
        .iter()
        .filter(|transfer| transfer.amount == amount)
        .map(|transfer| json!({ "id": transfer.id, "time": transfer.time }))
        .collect();
    match ours.as_slice() {
        [] => absent(shared, work, &doubt).await,
        [transfer] => {
            // The next deposit is decided on a margin that holds this one.
            if let Err(error) = cross::read(shared, &work).await {
                return unread(shared, work, &error);
            }
            let outcome = json!({ "proof": "found among the transfers", "transfer": transfer });
            done(work, doubt.action, outcome)
        }
        // One of them may be ours, or all of them the owner's.
        several => {
            let evidence = json!({ "amount": amount, "transfers": several });
            record::uncertain(shared, work, evidence).await
        }
    }
}

fn done(work: Work, action: Action, outcome: Value) -> Next {
    Next::step(work, Step::Record { action, outcome })
}

async fn absent(shared: &Shared, mut work: Work, doubt: &Doubt) -> Next {
    let Step::Prove { absent, .. } = &mut work.step else {
        return Next::step(work, Step::LookUp);
    };
    absent.push(doubt.requested_at);
    let verdict = proof::absence(doubt.before.signed_at, absent, &shared.tuning.proof);
    let evidence = json!({ "signedAt": doubt.before.signed_at, "notFoundAt": absent });
    conclude(shared, work, verdict, evidence).await
}
