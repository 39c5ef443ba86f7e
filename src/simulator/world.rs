//! What all connections share: the engine, the sockets, limits, faults and counts.
//!
//! Locks are taken in the order engine, hub, faults, and never across an await.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::clock::Clock;
use super::config::SimulatorConfig;
use super::engine::Engine;
use super::faults::{Fault, Faults, Injection, Place};
use super::limits::{Limiter, Limits};
use super::money::Price;
use super::pacing::{Cadence, Speed};
use super::stream::{self, End, Feed, Hub, Topic};

/// Delayed requests that wait at once; one more is lost, and its connection closed.
const MAX_LATE: usize = 10_000;

/// A lock whose holder cannot leave it broken: the engine has no step that panics midway, and a
/// simulator that goes on is worth more to a test than one that hides the first failure.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was asked of the REST interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// By method and route, for example `POST /futures/isolated/trade`.
    pub(super) requests: BTreeMap<String, u64>,
    /// Answers by status; requests that got no answer are not in it.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Authenticated requests by key, of accounts that there are.
    pub(super) by_key: BTreeMap<String, u64>,
}

/// Settings that do not change while running.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) protocol: super::config::ProtocolWindows,
    pub(super) cadence: Cadence,
    pub(super) speed: Speed,
    pub(super) strict_json: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) engine: Mutex<Engine>,
    pub(super) hub: Mutex<Hub>,
    pub(super) feed: Mutex<Feed>,
    pub(super) faults: Mutex<Faults>,
    pub(super) limiter: Mutex<Limiter>,
    pub(super) counts: Mutex<Counts>,
    /// Ticks printed so far.
    pub(super) ticks: watch::Sender<u64>,
    pub(super) tape_running: watch::Sender<bool>,
    pub(super) tape_finished: watch::Sender<bool>,
    pub(super) stop: watch::Sender<bool>,
    /// Until when, in the clock's elapsed time, the port is closed.
    pub(super) refused_until: watch::Sender<Duration>,
    /// Until when a restart lasts.
    restarting_until: Mutex<Duration>,
    /// Requests that outlive their connection. Aborted when the simulator stops.
    late: Mutex<JoinSet<()>>,
}

impl World {
    pub(super) fn new(config: &SimulatorConfig, first: Price, half_spread: Price) -> Self {
        let mut engine = Engine::new(config.seed, first, half_spread);
        engine.funding_rate = config.funding_rate;
        engine.choices = config.choices;
        for account in &config.accounts {
            engine.add_account(account.clone());
        }
        World {
            clock: Clock::new(),
            settings: Settings {
                limits: config.limits,
                protocol: config.protocol,
                cadence: config.cadence,
                speed: config.speed,
                strict_json: config.strict_json,
            },
            engine: Mutex::new(engine),
            hub: Mutex::default(),
            feed: Mutex::default(),
            faults: Mutex::default(),
            limiter: Mutex::new(Limiter::new(&config.limits)),
            counts: Mutex::default(),
            ticks: watch::Sender::new(0),
            tape_running: watch::Sender::new(!config.start_paused),
            tape_finished: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            refused_until: watch::Sender::new(Duration::ZERO),
            restarting_until: Mutex::new(Duration::ZERO),
            late: Mutex::new(JoinSet::new()),
        }
    }

    /// Server time in milliseconds, with the injected skew.
    pub(super) fn now_ms(&self) -> i64 {
        let skew = lock(&self.faults).skew_ms(self.clock.elapsed());
        self.clock.now_ms().saturating_add(skew)
    }

    /// Changes the engine and tells the sockets what happened, in that order, as one step: two
    /// changes are never told in the wrong order.
    pub(super) fn apply<R>(&self, change: impl FnOnce(&mut Engine, i64) -> R) -> R {
        let now = self.now_ms();
        let mut engine = lock(&self.engine);
        let result = change(&mut engine, now);
        let events = engine.take_events();
        if !events.is_empty() {
            let mut hub = lock(&self.hub);
            for event in &events {
                hub.publish_event(self, event);
            }
        }
        result
    }

    /// Lets the tape reach a time of its own, with the settlement that falls due by it.
    pub(super) fn reach(&self, tape: i64) {
        self.apply(|engine, now| {
            if engine.reach(tape, self.settings.speed, now) {
                // The index stands still between two prices: the last one is the fixing.
                self.settle(engine, engine.funding_rate, engine.last, now);
            }
        });
    }

    /// Settles funding and tells of it.
    pub(super) fn settle(&self, engine: &mut Engine, rate: f64, fixing: Price, now: i64) {
        engine.settle_funding(rate, fixing, now);
        stream::push_funding(self, engine, now);
    }

    /// Prints a price: triggers, and pushes when each tick is pushed.
    pub(super) fn print(&self, price: Price) {
        let every_tick = self.settings.cadence == Cadence::EveryTick;
        self.apply(|engine, now| {
            engine.tick(price, now);
            lock(&self.feed).observe(price, now);
            if every_tick {
                lock(&self.feed).publish_prices(self, engine, now);
            }
        });
        self.ticks.send_modify(|number| *number += 1);
    }

    /// Changes a balance from outside and tells the owner; `false` when it would fall below 0.
    pub(super) fn pay(&self, key: &str, sats: i64, topic: Topic) -> bool {
        self.apply(|engine, now| {
            let id = engine.next_id();
            let Some(account) = engine.accounts.get_mut(key) else {
                return false;
            };
            if account.balance + sats < 0 {
                return false;
            }
            account.balance += sats;
            let (amount, balance) = (sats.abs(), account.balance);
            let mut data = json!({
                "currency": "btc", "network": "lightning", "id": id, "amount": amount,
                "balance": balance, "status": "confirmed", "txId": format!("{now:x}"),
            });
            if topic == Topic::Withdrawal {
                data["fee"] = json!(0);
                data["status"] = json!("processed");
            }
            lock(&self.hub).publish_to(self, topic, key, &data);
            true
        })
    }

    /// Takes the first wanted fault that matches here.
    pub(super) fn take_fault(
        &self,
        place: Place<'_>,
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        lock(&self.faults).take(place, self.clock.elapsed(), wanted)
    }

    /// Whether such a fault is active here.
    pub(super) fn has_fault(&self, place: Place<'_>, wanted: impl Fn(&Fault) -> bool) -> bool {
        lock(&self.faults).is_active(place, self.clock.elapsed(), wanted)
    }

    /// Whether such a fault is active at all, whatever its filters.
    pub(super) fn has_fault_anywhere(&self, wanted: impl Fn(&Fault) -> bool) -> bool {
        lock(&self.faults).is_active_anywhere(self.clock.elapsed(), wanted)
    }

    /// Adds a fault, or does at once what cannot wait. `false` when there are too many.
    pub(super) fn inject(&self, injection: Injection) -> bool {
        let now = self.clock.elapsed();
        let most = injection.count.map_or(usize::MAX, |count| count as usize);
        match injection.fault {
            Fault::DropSockets => {
                lock(&self.hub).end(injection.key.as_deref(), most, End::Drop);
            }
            Fault::CloseSockets { code } => {
                lock(&self.hub).end(injection.key.as_deref(), most, End::Close(code, "closed"));
            }
            Fault::RefuseConnections => {
                let length = Duration::from_millis(injection.for_ms.unwrap_or(1000));
                self.refused_until.send_replace(now + length);
            }
            _ => return lock(&self.faults).inject(injection, now),
        }
        true
    }

    /// Closes all sockets and answers 503 for so long; trades and ledger survive.
    pub(super) fn restart(&self, down_for: Duration) {
        *lock(&self.restarting_until) = self.clock.elapsed() + down_for;
        lock(&self.hub).end(None, usize::MAX, End::Close(1012, "restart"));
    }

    pub(super) fn is_restarting(&self) -> bool {
        self.clock.elapsed() < *lock(&self.restarting_until)
    }

    /// Counts an authenticated request, where its account exists: invented keys must not grow the
    /// table.
    pub(super) fn count_request_of(&self, key: &str) {
        if lock(&self.engine).key(key).is_some() {
            *lock(&self.counts).by_key.entry(key.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn count_request(&self, label: String) {
        *lock(&self.counts).requests.entry(label).or_default() += 1;
    }

    pub(super) fn count_status(&self, status: u16) {
        *lock(&self.counts).statuses.entry(status).or_default() += 1;
    }

    /// Runs a request that must be carried out although its connection may be gone. Must be
    /// called inside the simulator's runtime.
    pub(super) fn run_late(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let mut late = lock(&self.late);
        while late.try_join_next().is_some() {}
        if late.len() < MAX_LATE {
            late.spawn(work);
        }
    }

    /// Waits until the simulator stops.
    pub(super) async fn stopped(&self) {
        // The guard that this gives must not live in a caller's `select!`.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }

    /// Ends everything that was left running.
    pub(super) fn shut_down(&self) {
        self.stop.send_replace(true);
        lock(&self.late).abort_all();
    }
}
