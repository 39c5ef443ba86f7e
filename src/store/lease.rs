//! The right to trade, where it is a lease: kept by renewing it, believed only while it was renewed
//! a short time ago.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::owners::Epoch;
use super::{Store, StoreError};
use crate::clock::Clock;

/// The times of a lease, each well under the next; in a configuration, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseTerms {
    /// Between renewals.
    #[serde(rename = "renew_ms", deserialize_with = "from_milliseconds")]
    pub renew: Duration,
    /// Without a renewal for so long, its owner sends nothing.
    #[serde(rename = "stop_sending_ms", deserialize_with = "from_milliseconds")]
    pub stop_sending: Duration,
    /// Without a renewal for so long, another may take it.
    #[serde(rename = "expire_ms", deserialize_with = "from_milliseconds")]
    pub expire: Duration,
}

fn from_milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

impl LeaseTerms {
    /// Why these times cannot be used, if so.
    pub fn problem(&self) -> Option<&'static str> {
        let kept = !self.renew.is_zero() && self.stop_sending >= self.renew * 2;
        let safe = self.expire > self.stop_sending;
        (!kept || !safe).then_some(
            "renew_ms must be over zero, stop_sending_ms twice that at least, and expire_ms over \
             stop_sending_ms, or two may send",
        )
    }
}

/// A lease that this process has claimed; clones share it.
#[derive(Clone, Debug)]
pub struct Lease {
    epoch: Epoch,
    terms: LeaseTerms,
    clock: Clock,
    /// Milliseconds of the clock's monotonic time at which the last renewal was asked for.
    renewed_at: Arc<AtomicU64>,
}

/// Another process has the lease now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Who, as far as that could be read.
    pub holder: Option<String>,
}

impl Lease {
    /// A lease claimed under `epoch`; `asked_at` is the monotonic time before the claim was made.
    pub fn new(epoch: Epoch, terms: LeaseTerms, clock: Clock, asked_at: Duration) -> Self {
        Self {
            epoch,
            terms,
            clock,
            renewed_at: Arc::new(AtomicU64::new(milliseconds(asked_at))),
        }
    }

    /// The number of the claim.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The times that it was claimed under.
    pub fn terms(&self) -> LeaseTerms {
        self.terms
    }

    /// Whether it was renewed so lately that nobody else can have it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it was not.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.age() < self.terms.stop_sending {
            return Ok(());
        }
        Err(StoreError::unavailable(format!(
            "the right to trade could not be renewed for {} ms: only what closes a trade is sent until it can",
            self.age().as_millis()
        )))
    }

    /// Time since the last renewal that succeeded was asked for.
    fn age(&self) -> Duration {
        let renewed_at = Duration::from_millis(self.renewed_at.load(Ordering::Relaxed));
        self.clock.mono().saturating_sub(renewed_at)
    }

    /// Renews it, again and again, until somebody else has it.
    pub async fn keep(&self, store: &Store) -> Lost {
        let store = store.with_patience(self.terms.renew);
        let mut told = false;
        loop {
            tokio::time::sleep(self.terms.renew).await;
            let asked_at = self.clock.mono();
            match store.renew_lease(self.epoch, self.terms.expire).await {
                Ok(true) => {
                    self.renewed_at
                        .store(milliseconds(asked_at), Ordering::Relaxed);
                    if std::mem::take(&mut told) {
                        tracing::info!(event = "ownership.renewed", epoch = self.epoch.0);
                    }
                }
                Ok(false) => {
                    let owner = store.owner().await.ok().flatten();
                    return Lost {
                        holder: owner.map(|owner| owner.holder),
                    };
                }
                Err(error) if !told && self.check().is_err() => {
                    told = true;
                    tracing::error!(
                        event = "ownership.stale",
                        epoch = self.epoch.0,
                        %error,
                        "nothing is sent but closes until the right to trade is renewed"
                    );
                }
                Err(_) => {}
            }
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
