//! The second leg of a reduction: what is kept of a closed trade is opened again, soon and near its
//! price, or not at all. What was closed and could not be opened again is told loudly, and never
//! opened later by itself.

use serde_json::{Value, json};

use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::{Next, again, record, send, store_failed};
use crate::domain::execution::{Action, Before, Reopening, SkipReason, State};
use crate::domain::units::Sats;
use crate::exchange::{Class, ExchangeError};
use crate::journal::{Began, Refusal};
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// The first leg was applied: what is to follow is written down before it is sent.
pub(super) async fn first_leg_done(
    shared: &Shared,
    work: Work,
    then: Reopening,
    outcome: Value,
) -> Next {
    let leg = Action::Reopen(then);
    match shared.journal.next_leg(work.id, leg, outcome.clone()).await {
        Ok(()) => {
            failpoint::pass("execution.first_leg", &work.account.tag.name);
            Next::step(work, Step::Reopen(then))
        }
        Err(error) => {
            let step = Step::FirstLegDone { then, outcome };
            store_failed(shared, Work { step, ..work }, &error)
        }
    }
}

/// Sends the second leg, if it still may be sent.
pub(super) async fn reopen(shared: &Shared, work: Work, kept: Reopening) -> Next {
    let now = shared.clock.mono();
    let usable = work
        .account
        .network
        .price
        .usable(now, &shared.tuning.freshness)
        .map(|seen| seen.price);
    if let Some(why) = kept.refusal(usable, work.account.network.exchange_clock().now()) {
        return not_reopened(shared, work, why).await;
    }
    // As after a start: until it is too old.
    let Some(price) = usable else {
        return Next::again_soon(shared, work);
    };
    let _held = match work.account.rate.spend(work.spend(), now) {
        Ok(allowance) => allowance,
        Err(free_at) => return Next::no_room(work, free_at),
    };
    let valid = kept.with_valid_stops(price);
    if valid.left_out != kept.left_out {
        shared.events.emit(Event::Alarm {
            account: work.account.tag.clone(),
            what: "stops_left_out",
            detail: format!(
                "position {} is reopened without its {}: out of the exchange's range at {price}",
                work.position,
                valid.left_out.names().join(" and ")
            ),
        });
    }
    let before = Before {
        margin: Sats::ZERO,
        sum_cash_in_margin: Sats::ZERO,
        signed_at: work.account.network.exchange_clock().now(),
    };
    let action = Action::Reopen(valid);
    let began = shared
        .journal
        .begin_sending(work.id, action, Some(before), shared.clock.utc())
        .await;
    match began {
        Ok(Began::Sending { .. }) => send::request(shared, work, action, before).await,
        // The new owner recovers it.
        Ok(Began::Refused(Refusal::Skip(SkipReason::NotOwner))) => {
            Next::ended(shared, &work, State::Skipped, Some(SkipReason::NotOwner))
        }
        Ok(Began::Refused(Refusal::Skip(reason))) => {
            not_reopened(shared, work, reason.as_str().to_owned()).await
        }
        Ok(Began::Refused(Refusal::AlreadySending | Refusal::Ended(_))) => {
            Next::step(work, Step::LookUp)
        }
        Err(error) => store_failed(shared, work, &error),
    }
}

/// The exchange did not take the second leg.
pub(super) async fn refused(
    shared: &Shared,
    work: Work,
    kept: Reopening,
    error: &ExchangeError,
) -> Next {
    let passes = match error.class {
        Class::Retryable { .. } => true,
        Class::Unauthorized => shared.has_other_credentials(&work.account),
        _ => false,
    };
    if !passes {
        return not_reopened(shared, work, error.to_string()).await;
    }
    again::obey(shared, &work.account, error);
    let text = error.to_string();
    match shared
        .journal
        .back_to_planned(work.id, &text, shared.clock.utc())
        .await
    {
        Ok(()) => {
            let work = Work {
                attempts: work.attempts + 1,
                step: Step::Reopen(kept),
                ..work
            };
            // Until it is too old: that is the bound of its attempts.
            let (now, roll) = (shared.clock.mono(), shared.clock.roll());
            let pause = shared.tuning.retry.delay(work.attempts, roll);
            Next::again(work, now + pause.max(again::LEAST_PAUSE))
        }
        Err(error) => store_failed(shared, work, &error),
    }
}

/// Half a reduction is a closed position: its owner must know at once.
pub(super) async fn not_reopened(shared: &Shared, work: Work, why: String) -> Next {
    shared.events.emit(Event::Alarm {
        account: work.account.tag.clone(),
        what: "closed_not_reopened",
        detail: format!(
            "position {} was closed to be reduced, and what was to be kept was not opened again: {why}",
            work.position
        ),
    });
    let first_leg = match shared.journal.execution(work.id).await {
        Ok(row) => row.outcome,
        Err(error) => return store_failed(shared, work, &error),
    };
    let evidence = json!({ "why": why, "firstLeg": first_leg });
    record::fail(shared, work, "closed_not_reopened".to_owned(), evidence).await
}
