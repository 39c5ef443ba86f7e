//! Public market data: what is pushed when the price moves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::topic::{RANGES, Topic};
use crate::simulator::engine::Engine;
use crate::simulator::money::Price;
use crate::simulator::pacing::Cadence;
use crate::simulator::wire::{self, js};
use crate::simulator::world::{World, lock};

#[derive(Clone, Copy, Debug)]
struct Candle {
    start: i64,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    ticks: u64,
}

/// The candles in progress, on server time.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Feed {
    candles: [Option<Candle>; RANGES.len()],
}

impl Feed {
    /// Takes a printed price into every candle.
    pub(in crate::simulator) fn observe(&mut self, price: Price, now: i64) {
        for (slot, (_, seconds)) in self.candles.iter_mut().zip(RANGES) {
            if seconds == 0 {
                continue;
            }
            let start = now - now.rem_euclid(seconds * 1000);
            match slot {
                Some(candle) if candle.start == start => {
                    candle.high = candle.high.max(price);
                    candle.low = candle.low.min(price);
                    candle.close = price;
                    candle.ticks += 1;
                }
                _ => {
                    *slot = Some(Candle {
                        start,
                        open: price,
                        high: price,
                        low: price,
                        close: price,
                        ticks: 1,
                    });
                }
            }
        }
    }

    /// Pushes the current price on all topics but the ticker, which has its own pace.
    pub(in crate::simulator) fn publish_prices(&self, world: &World, engine: &Engine, now: i64) {
        let last = js(engine.last.to_f64());
        let mut hub = lock(&world.hub);
        let mut publish = |topic: Topic, data: &dyn Fn() -> Value| {
            if hub.is_heard(topic) {
                hub.publish(world, topic, &data());
            }
        };
        publish(
            Topic::LastPrice,
            &|| json!({ "time": now, "lastPrice": last }),
        );
        publish(Topic::Index, &|| json!({ "time": now, "index": last }));
        publish(
            Topic::Buckets,
            &|| json!({ "time": now, "buckets": wire::buckets(engine) }),
        );
        for (range, candle) in self.candles.iter().enumerate() {
            if let Some(candle) = candle {
                publish(Topic::Ohlc(range), &|| {
                    json!({
                        "time": candle.start, "open": js(candle.open.to_f64()),
                        "high": js(candle.high.to_f64()), "low": js(candle.low.to_f64()),
                        "close": js(candle.close.to_f64()), "volume": candle.ticks,
                    })
                });
            }
        }
    }
}

/// Pushes the newest price at most so often a second; ends with the simulator.
pub(in crate::simulator) async fn push_prices(world: Arc<World>) {
    let Cadence::PerSecond(number) = world.settings.cadence else {
        return;
    };
    let pause = std::time::Duration::from_secs(1) / number.max(1);
    let mut ticks = world.ticks.subscribe();
    while ticks.changed().await.is_ok() {
        world.apply(|engine, now| lock(&world.feed).publish_prices(&world, engine, now));
        tokio::time::sleep(pause).await;
    }
}

/// Pushes the ticker after a change, at most once per window.
pub(in crate::simulator) async fn push_ticker(world: Arc<World>) {
    let mut ticks = world.ticks.subscribe();
    while ticks.changed().await.is_ok() {
        world.apply(|engine, now| {
            let mut hub = lock(&world.hub);
            if hub.is_heard(Topic::Ticker) {
                let last = js(engine.last.to_f64());
                let funding =
                    json!({ "rate": engine.funding_rate, "time": wire::next_funding(now) });
                let data =
                    json!({ "time": now, "lastPrice": last, "index": last, "funding": funding });
                hub.publish(&world, Topic::Ticker, &data);
            }
        });
        tokio::time::sleep(world.settings.protocol.ticker).await;
    }
}

/// Pushes the funding rate, after it has changed or was settled.
pub(in crate::simulator) fn push_funding(world: &World, engine: &Engine, now: i64) {
    let current = json!({ "rate": engine.funding_rate, "time": wire::next_funding(now) });
    let data = json!({ "pair": "btc_usd", "current": current });
    lock(&world.hub).publish(world, Topic::Funding, &data);
}
