//! The last price of a network, as the feed publishes it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::connection::Transport;
use crate::domain::execution::Seen;
use crate::domain::price::{Freshness, LastPrice};
use crate::domain::units::Price;
use crate::meter::{Counter, Gauge};

/// The last price of a network. One writer; readers need no hop and no lock.
#[derive(Debug, Default)]
pub struct PriceCell {
    cents: AtomicU64,
    confirmed_us: AtomicU64,
    pushed: AtomicBool,
    /// Prices that the socket has pushed.
    pub ticks: Counter,
    /// Trigger levels that stand.
    pub levels: Gauge,
}

impl PriceCell {
    /// Publishes what is known.
    pub fn publish(&self, last: &LastPrice) {
        // The price first: a reader between the two sees it older than it is, never younger.
        self.cents
            .store(last.price().map_or(0, Price::cents), Ordering::Release);
        self.confirmed_us
            .store(last.confirmed_at().as_micros() as u64, Ordering::Release);
    }

    /// Prices are pushed by a socket from now on, or no longer.
    pub fn is_pushed(&self, pushed: bool) {
        self.pushed.store(pushed, Ordering::Relaxed);
    }

    /// Where prices come from.
    pub fn transport(&self) -> Transport {
        match self.pushed.load(Ordering::Relaxed) {
            true => Transport::Websocket,
            false => Transport::Http,
        }
    }

    /// The price and its age, whatever that is; `None` before the first.
    pub fn seen(&self, now: Duration) -> Option<Seen> {
        let confirmed = Duration::from_micros(self.confirmed_us.load(Ordering::Acquire));
        let price = Price::from_cents(self.cents.load(Ordering::Acquire))?;
        Some(Seen {
            price,
            age: now.saturating_sub(confirmed),
        })
    }

    /// The price and its age, if it may be acted upon.
    pub fn usable(&self, now: Duration, freshness: &Freshness) -> Option<Seen> {
        self.seen(now).filter(|seen| seen.age < freshness.blind)
    }
}
