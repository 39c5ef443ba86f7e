//! What became of a request whose outcome is not known: the exchange is asked, nothing is sent
//! again before that.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::connection::{Learned, refusal_of};
use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::{Next, record, send, store_failed};
use crate::domain::execution::{Action, Before};
use crate::domain::position::Position;
use crate::domain::proof::{self, Reading, Verdict};
use crate::domain::units::Sats;
use crate::exchange::{ExchangeError, Spend};

/// A trade may have left the running list a moment before the closed list shows it.
const NOT_FOUND_PAUSE: Duration = Duration::from_secs(2);
/// So many readings that find a trade nowhere are for a person to look at.
const MOST_NOT_FOUND: u32 = 5;

/// A proof reads the running trades, the closed ones if need be, and the funding.
const MOST_READINGS: usize = 3;

/// Where a trade was found.
enum Found {
    Running(Position),
    Ended(crate::exchange::ClosedTrade),
    Nowhere,
}

/// Asks the exchange once.
pub(super) async fn prove(shared: &Shared, work: Work) -> Next {
    let budget = &work.account.rate;
    if let Err(free_at) = budget.spend_many(MOST_READINGS, Spend::Command, shared.clock.mono()) {
        return Next::again(work, free_at);
    }
    let requested_at = work.account.network.exchange_clock().now();
    let found = match find(shared, &work).await {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    let (action, before, refused) = match &work.step {
        Step::Prove {
            action,
            before,
            refusal,
            ..
        } => (*action, *before, refusal.is_some()),
        _ => return Next::step(work, Step::LookUp),
    };
    let work = Work {
        doubted: work.doubted || !refused,
        ..work
    };
    match (action, before, found) {
        (_, _, Found::Nowhere) => nowhere(shared, work).await,
        // Refused, and no earlier request of ours can have closed it: somebody else did.
        (Action::ClosePosition, _, Found::Ended(closed)) if refused && !work.doubted => {
            work.account.connection.tell(Learned::Closed(work.position));
            let evidence = json!({ "exitPrice": closed.exit_price, "pl": closed.pl });
            record::fail(shared, work, "position_gone".to_owned(), evidence).await
        }
        (Action::ClosePosition, _, Found::Ended(closed)) => {
            let outcome = json!({
                "proof": "the trade is closed", "pl": closed.pl,
                "closingFee": closed.closing_fee, "exitPrice": closed.exit_price,
            });
            work.account.connection.tell(Learned::Closed(work.position));
            Next::step(work, Step::Record { action, outcome })
        }
        (Action::ClosePosition, _, Found::Running(_)) => still_running(shared, work).await,
        (Action::AddMargin { .. }, None, _) => {
            let evidence = json!({ "why": "what was read before it was sent is not known" });
            record::uncertain(shared, work, evidence).await
        }
        (Action::AddMargin { amount }, Some(before), Found::Running(trade)) => {
            judge(shared, work, amount, before, &trade, requested_at).await
        }
        (Action::AddMargin { amount }, Some(before), Found::Ended(closed)) => {
            judge(shared, work, amount, before, &closed.position, requested_at).await
        }
    }
}

async fn find(shared: &Shared, work: &Work) -> Result<Found, ExchangeError> {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let asked_at = shared.clock.mono();
    let running = rest.running(who).await?.whole()?;
    let found = running
        .iter()
        .find(|trade| trade.id == work.position)
        .cloned();
    work.account
        .connection
        .tell(Learned::Running(running, asked_at));
    if let Some(trade) = found {
        return Ok(Found::Running(trade));
    }
    Ok(rest
        .closed(who, work.position)
        .await?
        .map_or(Found::Nowhere, Found::Ended))
}

async fn judge(
    shared: &Shared,
    mut work: Work,
    amount: Sats,
    before: Before,
    trade: &Position,
    requested_at: DateTime<Utc>,
) -> Next {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let funding = rest
        .funding_cost_since(who, work.position, before.signed_at)
        .await;
    let funding_since = match funding {
        Ok(funding) => funding,
        Err(error) => return unread(shared, work, &error),
    };
    let reading = Reading {
        requested_at,
        margin: trade.margin,
        sum_cash_in_margin: trade.sum_cash_in_margin,
        funding_since,
    };
    let Step::Prove { readings, .. } = &mut work.step else {
        return Next::step(work, Step::LookUp);
    };
    readings.push(reading);
    let verdict = proof::add_margin(&before, amount, readings, &shared.tuning.proof);
    let evidence = json!({ "before": before, "readings": readings, "amount": amount });
    match verdict {
        Verdict::Applied => {
            let outcome = json!({ "proof": evidence });
            Next::step(
                work,
                Step::Record {
                    action: Action::AddMargin { amount },
                    outcome,
                },
            )
        }
        Verdict::NotApplied => record::fail(shared, work, "not_applied".to_owned(), evidence).await,
        Verdict::ReadAgain(at) => {
            let pause = (at - work.account.network.exchange_clock().now()).to_std();
            let pause = pause.unwrap_or_default().max(Duration::from_millis(1));
            Next::again(work, shared.clock.mono() + pause)
        }
        Verdict::Unclear { .. } => record::uncertain(shared, work, evidence).await,
    }
}

/// A close that was not applied: refused for good, or to be sent again.
async fn still_running(shared: &Shared, work: Work) -> Next {
    let refusal = match &work.step {
        Step::Prove { refusal, .. } => refusal.clone(),
        _ => None,
    };
    if let Some(refusal) = refusal {
        let evidence = json!({ "error": refusal, "proof": "the trade still runs" });
        return record::fail(shared, work, format!("rejected: {refusal}"), evidence).await;
    }
    let (now, attempts) = (shared.clock.utc(), work.attempts + 1);
    if attempts >= shared.tuning.attempts {
        let evidence = json!({ "attempts": attempts, "proof": "the trade still runs" });
        return record::fail(shared, work, "exchange_unavailable".to_owned(), evidence).await;
    }
    match shared
        .journal
        .back_to_planned(work.id, "the trade still runs", now)
        .await
    {
        Ok(()) => Next::step(Work { attempts, ..work }, Step::Send),
        Err(error) => store_failed(shared, work, &error),
    }
}

async fn nowhere(shared: &Shared, mut work: Work) -> Next {
    if let Step::Prove { not_found, .. } = &mut work.step {
        *not_found += 1;
        if *not_found >= MOST_NOT_FOUND {
            let evidence = json!({ "why": "the trade is neither running nor closed" });
            return record::uncertain(shared, work, evidence).await;
        }
    }
    Next::again(work, shared.clock.mono() + NOT_FOUND_PAUSE)
}

/// A reading that failed proves nothing: it is made again, for as long as it takes; where the whole
/// account is refused, no more often than the account itself is tried again.
fn unread(shared: &Shared, mut work: Work, error: &ExchangeError) -> Next {
    const MOST_DOUBLINGS: u32 = 8;
    send::obey(shared, &work.account, error);
    work.unread = (work.unread + 1).min(MOST_DOUBLINGS);
    let pause = match refusal_of(error) {
        Some(_) => shared.tuning.link.refused_pause,
        None => shared.tuning.retry.ceiling(work.unread),
    };
    let tag = &work.account.tag;
    tracing::warn!(
        event = "proof.unread", account_id = %tag.id, account_name = %tag.name,
        execution = %work.id, %error
    );
    Next::again(work, shared.clock.mono() + pause)
}
