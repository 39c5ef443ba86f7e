//! The way from an intent to the exchange: the last look, the durable `sending`, the request.

use std::time::Duration;

use serde_json::json;

use super::super::connection::{Learned, refusal_of};
use super::super::shared::Shared;
use super::super::work::{Step, Work};
use super::again::{not_sent, obey};
use super::command::{self, Applied};
use super::refused::{refused, refused_for_good};
use super::{Next, fallback, keeping, prove, record, store_failed};
use crate::domain::execution::{self, Action, Before, LastLook, Sight, SkipReason, State};
use crate::domain::position::MarginMode;
use crate::domain::units::Sats;
use crate::exchange::{Class, ExchangeError};
use crate::journal::{Began, Refusal};
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// Looks once more and sends.
pub(super) async fn send(shared: &Shared, work: Work) -> Next {
    let network = &work.account.network.network.name;
    if work.account.leaves() || work.decision.is_elsewhere(network) {
        return record::skip(shared, work, SkipReason::NetworkChanged).await;
    }
    let Some(rule) = work.rule.clone() else {
        return record::skip(shared, work, SkipReason::AutomationDisabled).await;
    };
    let view = work.account.view.load_full();
    let now = shared.clock.mono();
    let Some(read_at) = view.read_at else {
        return Next::again_soon(shared, work);
    };
    if work.account.network.price.seen(now).is_none() {
        return Next::again_soon(shared, work);
    }
    // Even margin is not added on a book that nothing has confirmed for so long.
    if now.saturating_sub(read_at) >= shared.tuning.link.book_blind {
        return read_first(shared, work, MarginMode::Isolated).await;
    }
    if !view.knows_of(work.position) {
        return Next::again_soon(shared, work);
    }
    let row = view.row(work.position);
    let usable = work
        .account
        .network
        .price
        .usable(now, &shared.tuning.freshness);
    let sight = Sight {
        position: row.map(|row| &row.position),
        row_age: row.map_or(Duration::ZERO, |row| row.age(now)),
        balance: keeping::balance(shared, &work, &rule, view.balance).await,
        price: usable.map(|seen| seen.price),
    };
    match execution::last_look(&rule, work.decision.fallback, &sight) {
        LastLook::Send(action) => {
            let before = Before {
                margin: row.map_or(Sats::ZERO, |row| row.position.margin),
                sum_cash_in_margin: row.map_or(Sats::ZERO, |row| row.position.sum_cash_in_margin),
                signed_at: work.account.network.exchange_clock().now(),
            };
            let planned = execution::planned(&rule, work.decision.fallback, sight.position);
            keeping::tell(shared, &work, planned, action);
            begin(shared, work, action, before).await
        }
        LastLook::ReadFirst => {
            let mode = row.map(|row| row.position.mode).unwrap_or_default();
            read_first(shared, work, mode).await
        }
        LastLook::Skip(reason) => record::skip(shared, work, reason).await,
        LastLook::OutOfRange(why) => {
            let evidence = json!({ "price": sight.price });
            record::fail(shared, work, format!("out_of_range: {why}"), evidence).await
        }
        LastLook::NothingToAdd { at_leverage_limit } => {
            let what = if at_leverage_limit {
                "leverage_limit"
            } else {
                "no_balance"
            };
            shared.events.emit(Event::Alarm {
                account: work.account.tag.clone(),
                what,
                detail: format!(
                    "position {} is in danger, nothing can be added",
                    work.position
                ),
            });
            let evidence = json!({ "balance": view.balance });
            fallback::nothing_added(shared, work, what.to_owned(), evidence).await
        }
    }
}

/// Reads the isolated trades, which confirms the book, or the cross account.
async fn read_first(shared: &Shared, work: Work, mode: MarginMode) -> Next {
    let now = shared.clock.mono();
    let _held = match work.account.rate.spend(work.spend(), now) {
        Ok(allowance) => allowance,
        Err(free_at) => return Next::no_room(work, free_at),
    };
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let read = match mode {
        MarginMode::Cross => {
            let read = rest.cross_position(who).await;
            read.map(|reading| Learned::CrossRead(reading, now))
        }
        MarginMode::Isolated => {
            let read = rest.running(who).await;
            read.map(|running| Learned::Running(running, now))
        }
    };
    match read {
        Ok(learned) => {
            // Its connection applies the reading before this execution's turn comes again.
            work.account.connection.tell(learned);
            let at = shared.clock.mono() + Duration::from_millis(1);
            Next::again(work, at)
        }
        Err(error) if refusal_of(&error).is_some() => refused_for_good(shared, work, &error).await,
        Err(error) => not_sent(shared, work, &error, "reading before a close").await,
    }
}

/// The cross account's leverage is a setting of its own, made before an order that wants another.
async fn set_leverage(shared: &Shared, work: &Work, leverage: f64) -> Result<(), ExchangeError> {
    let wanted = leverage as i64;
    let present = shared.present(&work.account);
    let stands = present.view.load().cross.map(|cross| cross.leverage);
    if stands == Some(wanted) {
        return Ok(());
    }
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let set = rest.cross_leverage(who, wanted, rest.clock().now()).await?;
    work.account
        .connection
        .tell(Learned::CrossAnswered(set, Sats::ZERO));
    Ok(())
}

async fn begin(shared: &Shared, mut work: Work, action: Action, before: Before) -> Next {
    if shared.dry_run {
        return record::skip(shared, work, SkipReason::DryRun).await;
    }
    // An entry may set the leverage first; after a reduction the position is looked at.
    let cost = match action {
        Action::CrossOpen(_) | Action::CrossReduce { .. } => 2,
        _ => 1,
    };
    let now = shared.clock.mono();
    let _held = match work.account.rate.spend_many(cost, work.spend(), now) {
        Ok(allowance) => allowance,
        Err(free_at) => return Next::no_room(work, free_at),
    };
    if let Action::CrossOpen(opening) = action
        && let Err(error) = set_leverage(shared, &work, opening.leverage).await
    {
        return match error.class {
            Class::Rejected | Class::ScopeMissing => {
                let evidence = json!({ "error": error.to_string() });
                record::fail(shared, work, format!("rejected: {error}"), evidence).await
            }
            Class::Unauthorized | Class::Blocked => refused_for_good(shared, work, &error).await,
            Class::Retryable { .. } | Class::Unknown => {
                not_sent(shared, work, &error, "setting the leverage").await
            }
        };
    }
    failpoint::pass("execution.planned", &work.account.tag.name);
    let began = shared
        .journal
        .begin_sending(work.id, action, Some(before), shared.clock.utc())
        .await;
    match began {
        Ok(Began::Sending { .. }) => {
            let hops = &shared.events.metrics().hops;
            work.hop(&hops.sending, shared.clock.mono());
            request(shared, work, action, before).await
        }
        // The new owner recovers it.
        Ok(Began::Refused(Refusal::Skip(SkipReason::NotOwner))) => {
            Next::ended(shared, &work, State::Skipped, Some(SkipReason::NotOwner))
        }
        Ok(Began::Refused(Refusal::Skip(reason))) => {
            fallback::held_back(shared, work, reason).await
        }
        Ok(Began::Refused(Refusal::AlreadySending | Refusal::Ended(_))) => {
            Next::step(work, Step::LookUp)
        }
        Err(error) => store_failed(shared, work, &error),
    }
}

/// Sends what is durably `sending`.
pub(super) async fn request(
    shared: &Shared,
    mut work: Work,
    action: Action,
    before: Before,
) -> Next {
    failpoint::pass("execution.sending", &work.account.tag.name);
    let sent_at = shared.clock.mono();
    let tick_to_order_us = work
        .tick_at
        .map(|tick_at| sent_at.saturating_sub(tick_at).as_micros() as u64);
    shared.events.emit(Event::Sending {
        account: work.account.tag.clone(),
        execution: work.id,
        action,
        tick_to_order_us,
    });
    let hops = &shared.events.metrics().hops;
    if let (Some(_), Some(tick_at)) = (work.last_hop, work.tick_at) {
        hops.tick_to_order.observe(sent_at.saturating_sub(tick_at));
    }
    work.hop(&hops.left, shared.clock.mono());
    let answer = command::apply(shared, &work, action, before).await;
    work.hop(&hops.answered, shared.clock.mono());
    failpoint::pass("execution.answered", &work.account.tag.name);
    match answer {
        Ok(Applied { mut outcome, then }) => {
            let request_us = shared.clock.mono().saturating_sub(sent_at).as_micros() as u64;
            outcome["requestUs"] = json!(request_us);
            outcome["tickToOrderUs"] = json!(tick_to_order_us);
            if let Action::CrossReduce { side, .. } = action {
                match prove::flipped(shared, &work, side).await {
                    Ok(false) => {}
                    Ok(true) => return prove::turned(shared, work, outcome).await,
                    // The order stands among the filled ones; the proof looks again.
                    Err(error) => {
                        obey(shared, &work.account, &error);
                        return Next::step(work, Step::prove(action, Some(before), None));
                    }
                }
            }
            match then {
                Some(then) => Next::step(work, Step::FirstLegDone { then, outcome }),
                None => Next::step(work, Step::Record { action, outcome }),
            }
        }
        Err(error) => refused(shared, work, action, before, &error).await,
    }
}
