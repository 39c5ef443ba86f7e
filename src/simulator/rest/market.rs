//! Public data, the account, and what is answered as empty.

use serde_json::{Value, json};

use super::page::Page;
use super::{ApiError, Call};
use crate::simulator::clock::iso;
use crate::simulator::wire::{self, js};
use crate::simulator::world::lock;

type Answer = Result<Value, ApiError>;

pub(super) fn time(call: &Call<'_>) -> Answer {
    Ok(json!({ "time": iso(call.world.now_ms()) }))
}

pub(super) fn ticker(call: &Call<'_>) -> Answer {
    let now = call.world.now_ms();
    Ok(wire::ticker(&lock(&call.world.engine), now))
}

/// The candles since the start, as far as they are kept.
pub(super) fn candles(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    let range = call.query.get("range").map_or("1m", String::as_str);
    let candles = lock(&call.world.feed)
        .newest_first(range)
        .ok_or_else(|| ApiError::bad("range", format!("there is no range `{range}`")))?;
    Ok(page.cut(
        candles.into_iter(),
        |candle| candle.start,
        |candle| candle.show(&json!(iso(candle.start))),
    ))
}

pub(super) fn settlements(call: &Call<'_>) -> Answer {
    let page = Page::parse(&call.query)?;
    let engine = lock(&call.world.engine);
    Ok(page.cut(
        engine.settlements.iter().rev(),
        |settlement| settlement.time,
        |settlement| {
            json!({
                "id": settlement.id, "time": iso(settlement.time),
                "fundingRate": js(settlement.rate), "fixingPrice": js(settlement.fixing.to_f64()),
            })
        },
    ))
}

pub(super) fn leaderboard(_: &Call<'_>) -> Answer {
    Ok(json!({ "daily": [], "weekly": [], "monthly": [], "all-time": [] }))
}

pub(super) fn best_price(call: &Call<'_>) -> Answer {
    let engine = lock(&call.world.engine);
    Ok(json!({ "askPrice": js(engine.ask().to_f64()), "bidPrice": js(engine.bid().to_f64()) }))
}

pub(super) fn account(call: &Call<'_>) -> Answer {
    let engine = lock(&call.world.engine);
    // Authenticated a moment ago; gone only if it was replaced meanwhile.
    let account = engine
        .accounts
        .get(call.key)
        .ok_or_else(|| ApiError::bad("key", "no such account"))?;
    Ok(json!({
        "id": account.user_id, "username": account.config.key, "email": account.config.email,
        "balance": account.balance, "syntheticUsdBalance": 0,
        "feeTier": account.tier(), "linkingPublicKey": null,
    }))
}
