//! Isolated trades.

use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{AmountBody, IdBody, StoplossBody, TakeprofitBody, TradeBody, parse};
use super::page::Page;
use super::{ApiError, Call};
use crate::simulator::clock::iso;
use crate::simulator::engine::{Cause, Engine, Refusal, Stop};
use crate::simulator::money::Price;
use crate::simulator::trade::{Trade, TradeState};
use crate::simulator::wire::{TradeView, to_json};
use crate::simulator::world::lock;

type Answer = Result<Value, ApiError>;

/// Applies a change to one trade and answers the trade as it is then.
fn change(
    call: &Call<'_>,
    change: impl FnOnce(&mut Engine, &str, Cause) -> Result<Trade, Refusal>,
) -> Answer {
    call.world.apply(|engine, now| {
        let trade = change(engine, call.key, call.cause(now))?;
        Ok(to_json(&TradeView::new(&trade, engine.last)))
    })
}

pub(super) fn place(call: &Call<'_>) -> Answer {
    let order = parse::<TradeBody>(call.body)?.into_order()?;
    change(call, |engine, key, cause| engine.place(key, order, cause))
}

pub(super) fn close(call: &Call<'_>) -> Answer {
    let body: IdBody = parse(call.body)?;
    change(call, |engine, key, cause| engine.close(key, body.id, cause))
}

pub(super) fn cancel(call: &Call<'_>) -> Answer {
    let body: IdBody = parse(call.body)?;
    change(call, |engine, key, cause| {
        engine.cancel(key, body.id, cause)
    })
}

pub(super) fn cancel_all(call: &Call<'_>) -> Answer {
    call.world.apply(|engine, now| {
        let trades = engine.cancel_all(call.key, call.cause(now))?;
        let last = engine.last;
        Ok(trades
            .iter()
            .map(|trade| to_json(&TradeView::new(trade, last)))
            .collect())
    })
}

pub(super) fn add_margin(call: &Call<'_>) -> Answer {
    let body: AmountBody = parse(call.body)?;
    change(call, |engine, key, cause| {
        engine.add_margin(key, body.id, body.amount, cause)
    })
}

pub(super) fn cash_in(call: &Call<'_>) -> Answer {
    let body: AmountBody = parse(call.body)?;
    change(call, |engine, key, cause| {
        engine.cash_in(key, body.id, body.amount, cause)
    })
}

pub(super) fn set_stoploss(call: &Call<'_>) -> Answer {
    let body: StoplossBody = parse(call.body)?;
    let stop = body.stop()?;
    change(call, |engine, key, cause| {
        engine.set_stoploss(key, body.id, stop, cause)
    })
}

pub(super) fn remove_stoploss(call: &Call<'_>) -> Answer {
    let id = id_of(call)?;
    change(call, |engine, key, cause| {
        engine.set_stoploss(key, id, Stop::None, cause)
    })
}

pub(super) fn set_takeprofit(call: &Call<'_>) -> Answer {
    let body: TakeprofitBody = parse(call.body)?;
    let price = body.price()?;
    change(call, |engine, key, cause| {
        engine.set_takeprofit(key, body.id, price, cause)
    })
}

pub(super) fn remove_takeprofit(call: &Call<'_>) -> Answer {
    let id = id_of(call)?;
    change(call, |engine, key, cause| {
        engine.set_takeprofit(key, id, Price::ZERO, cause)
    })
}

fn id_of(call: &Call<'_>) -> Result<Uuid, ApiError> {
    let id = call
        .query
        .get("id")
        .ok_or_else(|| ApiError::bad("id", "id is missing"))?;
    id.parse()
        .map_err(|_| ApiError::bad("id", "id must be a UUID"))
}

pub(super) fn open(call: &Call<'_>) -> Answer {
    live(call, TradeState::Open)
}

pub(super) fn running(call: &Call<'_>) -> Answer {
    live(call, TradeState::Running)
}

fn live(call: &Call<'_>, state: TradeState) -> Answer {
    let engine = lock(&call.world.engine);
    let trades = engine
        .accounts
        .get(call.key)
        .map(|account| account.live.as_slice());
    Ok(trades
        .unwrap_or_default()
        .iter()
        .rev()
        .filter(|trade| trade.state == state)
        .map(|trade| to_json(&TradeView::new(trade, engine.last)))
        .collect())
}

pub(super) fn closed(call: &Call<'_>) -> Answer {
    ended(call, TradeState::Closed)
}

pub(super) fn canceled(call: &Call<'_>) -> Answer {
    ended(call, TradeState::Canceled)
}

fn ended(call: &Call<'_>, state: TradeState) -> Answer {
    let page = Page::parse(&call.query)?;
    let engine = lock(&call.world.engine);
    let trades = engine
        .accounts
        .get(call.key)
        .map(|account| account.done.as_slice());
    let shown = call.shown_until(&engine);
    let newest_first = trades
        .unwrap_or_default()
        .iter()
        .rev()
        .filter(|trade| trade.state == state && trade.closed_at <= Some(shown));
    Ok(page.cut(
        newest_first,
        |trade| trade.closed_at.unwrap_or_default(),
        |trade| to_json(&TradeView::new(trade, engine.last)),
    ))
}

pub(super) fn funding_fees(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    let trade_id = match call.query.get("tradeId") {
        Some(id) => Some(
            id.parse::<Uuid>()
                .map_err(|_| ApiError::bad("tradeId", "must be a UUID"))?,
        ),
        None => None,
    };
    let engine = lock(&call.world.engine);
    let fees = engine
        .accounts
        .get(call.key)
        .map(|account| account.funding_fees.as_slice());
    let newest_first = fees
        .unwrap_or_default()
        .iter()
        .rev()
        .filter(|fee| trade_id.is_none_or(|id| fee.trade_id == id));
    Ok(page.cut(
        newest_first,
        |fee| fee.time,
        |fee| {
            json!({
                "time": iso(fee.time), "settlementId": fee.settlement_id,
                "tradeId": fee.trade_id, "fee": fee.fee,
            })
        },
    ))
}
