//! Cross margin.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{CrossOrderBody, IdBody, parse};
use super::page::Page;
use super::{ApiError, Call};
use crate::simulator::clock::iso;
use crate::simulator::cross::{Cross, Order, OrderState};
use crate::simulator::engine::{Cause, Engine, Refusal};
use crate::simulator::wire::{CrossOrderView, CrossPositionView, to_json};
use crate::simulator::world::lock;

type Answer = Result<Value, ApiError>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountBody {
    amount: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeverageBody {
    leverage: i64,
}

/// Applies a change and answers the order that it made or ended.
fn order(
    call: &Call<'_>,
    change: impl FnOnce(&mut Engine, &str, Cause) -> Result<Order, Refusal>,
) -> Answer {
    call.world.apply(|engine, now| {
        let order = change(engine, call.key, call.cause(now))?;
        Ok(to_json(&CrossOrderView::new(&order)))
    })
}

/// Applies a change and answers the position as it is then.
fn changed<T>(
    call: &Call<'_>,
    change: impl FnOnce(&mut Engine, &str, Cause) -> Result<T, Refusal>,
) -> Answer {
    call.world.apply(|engine, now| {
        change(engine, call.key, call.cause(now))?;
        Ok(shown(engine, call.key))
    })
}

fn shown(engine: &Engine, key: &str) -> Value {
    // Authenticated a moment ago; gone only if it was replaced meanwhile.
    engine.accounts.get(key).map_or(Value::Null, |account| {
        to_json(&CrossPositionView::new(&account.cross, engine.last))
    })
}

/// Reads something of the caller's cross account; what has ended after the given time is not
/// listed yet.
fn read(call: &Call<'_>, read: impl FnOnce(&Cross, i64) -> Value) -> Answer {
    let engine = lock(&call.world.engine);
    let account = engine
        .accounts
        .get(call.key)
        .ok_or_else(|| ApiError::bad("key", "no such account"))?;
    Ok(read(&account.cross, call.shown_until(&engine)))
}

pub(super) fn place(call: &Call<'_>) -> Answer {
    let new = parse::<CrossOrderBody>(call.body)?.into_order()?;
    order(call, |engine, key, cause| {
        engine.cross_place(key, new, cause)
    })
}

pub(super) fn cancel(call: &Call<'_>) -> Answer {
    let body: IdBody = parse(call.body)?;
    order(call, |engine, key, cause| {
        engine.cross_cancel(key, body.id, cause)
    })
}

pub(super) fn cancel_all(call: &Call<'_>) -> Answer {
    call.world.apply(|engine, now| {
        let orders = engine.cross_cancel_all(call.key, call.cause(now))?;
        Ok(orders
            .iter()
            .map(|order| to_json(&CrossOrderView::new(order)))
            .collect())
    })
}

pub(super) fn close(call: &Call<'_>) -> Answer {
    order(call, Engine::cross_close)
}

pub(super) fn deposit(call: &Call<'_>) -> Answer {
    let body: AmountBody = parse(call.body)?;
    changed(call, |engine, key, cause| {
        engine.cross_deposit(key, body.amount, cause)
    })
}

pub(super) fn withdraw(call: &Call<'_>) -> Answer {
    let body: AmountBody = parse(call.body)?;
    changed(call, |engine, key, cause| {
        engine.cross_withdraw(key, body.amount, cause)
    })
}

pub(super) fn leverage(call: &Call<'_>) -> Answer {
    let body: LeverageBody = parse(call.body)?;
    changed(call, |engine, key, cause| {
        engine.cross_leverage(key, body.leverage, cause)
    })
}

pub(super) fn position(call: &Call<'_>) -> Answer {
    Ok(shown(&lock(&call.world.engine), call.key))
}

pub(super) fn open(call: &Call<'_>) -> Answer {
    read(call, |cross, _| {
        let newest_first = cross.open.iter().rev();
        newest_first
            .map(|order| to_json(&CrossOrderView::new(order)))
            .collect()
    })
}

pub(super) fn filled(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    read(call, |cross, shown| {
        let orders = cross.done.iter().rev();
        page.cut(
            orders
                .filter(|order| order.state == OrderState::Filled && order.ended_at <= Some(shown)),
            |order| order.ended_at.unwrap_or_default(),
            |order| to_json(&CrossOrderView::new(order)),
        )
    })
}

pub(super) fn transfers(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    read(call, |cross, _| {
        page.cut(
            cross.transfers.iter().rev(),
            |transfer| transfer.time,
            |transfer| {
                let (id, time) = (transfer.id, iso(transfer.time));
                json!({ "id": id, "amount": transfer.amount, "time": time })
            },
        )
    })
}

pub(super) fn funding_fees(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    read(call, |cross, _| {
        page.cut(
            cross.funding_fees.iter().rev(),
            |fee| fee.time,
            |fee| {
                let (time, settlement) = (iso(fee.time), fee.settlement_id);
                json!({
                    "time": time, "settlementId": settlement, "tradeId": null, "fee": fee.fee,
                })
            },
        )
    })
}
