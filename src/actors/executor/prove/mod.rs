//! What became of a request whose outcome is not known: the exchange is asked, nothing is sent
//! again before that.

mod closing;
mod cross;
mod margin;
mod presence;
mod stops;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::connection::{Learned, refusal_of};
use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::{Next, again, record, reopen, store_failed};
use crate::domain::execution::{Action, Before, NOT_APPLIED, UNAVAILABLE};
use crate::domain::position::Position;
use crate::domain::proof::Verdict;
use crate::exchange::{ClosedTrade, ExchangeError, Rest};

pub(super) use cross::{flipped, turned};

/// A trade may have left the running list a moment before the closed list shows it.
const NOT_FOUND_PAUSE: Duration = Duration::from_secs(2);
/// So many readings that find a trade nowhere are for a person to look at.
const MOST_NOT_FOUND: u32 = 5;

/// Where a trade was found.
enum Found {
    Running(Position),
    Ended(ClosedTrade),
    Nowhere,
}

/// What a proof is held against.
struct Doubt {
    action: Action,
    before: Before,
    /// Whether the last request was refused, so that it cannot have been the one that was applied.
    refused: bool,
    /// When this proof's readings are requested, in exchange time.
    requested_at: DateTime<Utc>,
}

/// How many requests a proof of an action makes at most.
fn readings(action: Action) -> usize {
    match action {
        // The running trades, the closed ones if need be, and the funding.
        Action::ClosePosition
        | Action::CloseToReopen { .. }
        | Action::AddMargin { .. }
        | Action::UpdateTp { .. }
        | Action::UpdateSl { .. } => 3,
        Action::Open(_) | Action::Reopen(_) => Rest::TRADE_LOOKUP,
        // And the position that it left.
        Action::CrossReduce { .. } | Action::CrossOpen(_) => Rest::CROSS_LOOKUP + 1,
        Action::CrossDeposit { .. } => 2,
        Action::CrossClose { .. } => 1,
    }
}

/// Asks the exchange once.
pub(super) async fn prove(shared: &Shared, work: Work) -> Next {
    let Step::Prove {
        action,
        before,
        refusal,
        ..
    } = &work.step
    else {
        return Next::step(work, Step::LookUp);
    };
    let (action, refused) = (*action, refusal.is_some());
    let Some(before) = *before else {
        let evidence = json!({ "why": "what was read before it was sent is not known" });
        return record::uncertain(shared, work, evidence).await;
    };
    let now = shared.clock.mono();
    let budget = &work.account.rate;
    let _held = match budget.spend_many(readings(action), work.spend(), now) {
        Ok(allowance) => allowance,
        Err(free_at) => return Next::no_room(work, free_at),
    };
    let doubt = Doubt {
        action,
        before,
        refused,
        requested_at: work.account.network.exchange_clock().now(),
    };
    match action {
        Action::ClosePosition | Action::CloseToReopen { .. } => {
            closing::prove(shared, work, doubt).await
        }
        Action::AddMargin { amount } => margin::prove(shared, work, doubt, amount).await,
        Action::UpdateTp { .. } | Action::UpdateSl { .. } => {
            stops::prove(shared, work, doubt).await
        }
        Action::Open(_) | Action::Reopen(_) => presence::of_trade(shared, work, doubt).await,
        Action::CrossReduce { .. } | Action::CrossOpen(_) => {
            presence::of_order(shared, work, doubt).await
        }
        Action::CrossDeposit { amount } => presence::of_deposit(shared, work, doubt, amount).await,
        Action::CrossClose { side } => cross::closed(shared, work, doubt, side).await,
    }
}

/// Looks for the execution's trade among the running and the closed ones.
async fn find(shared: &Shared, work: &Work) -> Result<Found, ExchangeError> {
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let asked_at = shared.clock.mono();
    let running = rest.running(who).await?;
    let found = running
        .positions
        .iter()
        .find(|trade| trade.id == work.position)
        .cloned();
    let unread = found.is_none() && running.may_hold(work.position);
    work.account
        .connection
        .tell(Learned::Running(running, asked_at));
    if let Some(trade) = found {
        return Ok(Found::Running(trade));
    }
    if unread {
        return Ok(Found::Nowhere);
    }
    Ok(rest
        .closed(who, work.position)
        .await?
        .map_or(Found::Nowhere, Found::Ended))
}

/// Goes on as a proof of presence or of margin says.
async fn conclude(shared: &Shared, work: Work, verdict: Verdict, evidence: Value) -> Next {
    match verdict {
        Verdict::Applied => Next::step(work, Step::LookUp),
        Verdict::NotApplied => not_applied(shared, work, evidence).await,
        Verdict::ReadAgain(at) => {
            let pause = (at - work.account.network.exchange_clock().now()).to_std();
            let pause = pause.unwrap_or_default().max(Duration::from_millis(1));
            Next::again(work, shared.clock.mono() + pause)
        }
        Verdict::Unclear { .. } => record::uncertain(shared, work, evidence).await,
    }
}

async fn not_applied(shared: &Shared, work: Work, evidence: Value) -> Next {
    if let Step::Prove {
        action: Action::Reopen(_),
        ..
    } = &work.step
    {
        return reopen::not_reopened(shared, work, "the order was not applied".to_owned()).await;
    }
    record::fail(shared, work, NOT_APPLIED.to_owned(), evidence).await
}

/// What is idempotent and was not applied: refused for good, or to be sent again.
async fn not_yet(shared: &Shared, work: Work, proof: &str) -> Next {
    let refusal = match &work.step {
        Step::Prove { refusal, .. } => refusal.clone(),
        _ => None,
    };
    if let Some(refusal) = refusal {
        let evidence = json!({ "error": refusal, "proof": proof });
        return record::fail(shared, work, format!("rejected: {refusal}"), evidence).await;
    }
    let (now, attempts) = (shared.clock.utc(), work.attempts + 1);
    if attempts >= work.most_attempts(shared.tuning.attempts) {
        let evidence = json!({ "attempts": attempts, "proof": proof });
        return record::fail(shared, work, UNAVAILABLE.to_owned(), evidence).await;
    }
    match shared.journal.back_to_planned(work.id, proof, now).await {
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
    again::obey(shared, &work.account, error);
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
