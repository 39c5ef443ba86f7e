//! Public market data: what is pushed when the price moves.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::topic::{RANGES, Topic};
use crate::simulator::engine::Engine;
use crate::simulator::money::Price;
use crate::simulator::pacing::Cadence;
use crate::simulator::wire::{self, js};
use crate::simulator::world::{World, lock};

/// A candle of server time; its volume is the number of its prices.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct Candle {
    pub(in crate::simulator) start: i64,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    ticks: u64,
}

/// Candles kept of each range: one page.
const KEPT: usize = 1000;

impl Candle {
    /// The exchange's object, with the time as the caller writes it.
    pub(in crate::simulator) fn show(&self, time: &Value) -> Value {
        json!({
            "time": time, "open": js(self.open.to_f64()), "high": js(self.high.to_f64()),
            "low": js(self.low.to_f64()), "close": js(self.close.to_f64()), "volume": self.ticks,
        })
    }
}

/// The candles in progress and those before them, on server time.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Feed {
    candles: [Option<Candle>; RANGES.len()],
    past: [VecDeque<Candle>; RANGES.len()],
}

impl Feed {
    /// Takes a printed price into every candle.
    pub(in crate::simulator) fn observe(&mut self, price: Price, now: i64) {
        let slots = self.candles.iter_mut().zip(&mut self.past);
        for ((slot, past), (_, seconds)) in slots.zip(RANGES) {
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
                    if past.len() == KEPT {
                        past.pop_front();
                    }
                    past.extend(slot.take());
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

    /// The candles of a range by its name, newest first; `None` for a name that there is not.
    pub(in crate::simulator) fn newest_first(&self, range: &str) -> Option<Vec<Candle>> {
        let range = RANGES.iter().position(|(name, _)| *name == range)?;
        let current = self.candles[range].iter();
        Some(
            current
                .chain(self.past[range].iter().rev())
                .copied()
                .collect(),
        )
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
                publish(Topic::Ohlc(range), &|| candle.show(&json!(candle.start)));
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
                    json!({ "rate": engine.funding_rate, "time": engine.next_funding(now) });
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
    let current = json!({ "rate": engine.funding_rate, "time": engine.next_funding(now) });
    let data = json!({ "pair": "btc_usd", "current": current });
    lock(&world.hub).publish(world, Topic::Funding, &data);
}

/// Pushes an announcement, or the id of one that is taken back.
pub(in crate::simulator) fn announce(world: &World, data: &Value) {
    lock(&world.hub).publish(world, Topic::Announcements, data);
}
