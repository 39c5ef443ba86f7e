//! `PriceFeed`: the last price of one network, from its socket, and from the ticker when the socket
//! is silent; and the evaluator, which wakes the automations whose level a price crosses.
//!
//! - Owner: `Supervisor`, one for each network. Essential: never quarantined.
//! - Owns: the public socket, the trigger levels of all accounts, the network's `PriceCell`.
//! - In: `Watch`, `Unwatch`, socket events. Out: `LevelReached` to the automation concerned.
//! - Bound: one level for each automation and position; 1024 frames wait for the actor.
//! - Death: levels are lost; the new feed is announced and every automation registers again.
//! - Stop: the socket closes; nothing is lost.

mod ticker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::WeakRecipient;
use actix::prelude::*;

use super::shared::{NetworkShared, Shared};
use super::socket_stream::{FromSocket, attempt, events};
use crate::domain::levels::{Level, Levels};
use crate::domain::price::LastPrice;
use crate::domain::units::Price;
use crate::exchange::{Frame, Socket, SocketEvent, SocketPermit, SocketPlan, Topic};
use crate::supervision::{Marker, failpoint};
use crate::telemetry::{Event, Sampled};

/// How often freshness and socket are looked after.
const BEAT: Duration = Duration::from_millis(100);
/// How soon a socket is asked for again after the store refused to note the attempt.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Registers a level, in place of the one of the same key. It is answered by one
/// [`LevelReached`] when a price reaches it, at once if one already has.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The level's key.
    pub key: u64,
    /// Where it fires.
    pub level: Level,
    /// Who is woken.
    pub to: WeakRecipient<LevelReached>,
}

/// Takes a level out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unwatch(pub u64);

/// A price has reached a level, which is registered no longer. A hint: whoever gets it decides
/// again, exactly.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LevelReached {
    /// The level's key.
    pub key: u64,
    /// When the tick that reached it was read from the socket; `None` if the level was already
    /// reached when it was registered.
    pub tick_at: Option<Duration>,
    /// When this was sent.
    pub reached_at: Duration,
}

/// See the module's documentation.
pub struct PriceFeed {
    shared: Arc<Shared>,
    network: Arc<NetworkShared>,
    last: LastPrice,
    levels: Levels,
    watchers: HashMap<u64, WeakRecipient<LevelReached>>,
    socket: Option<Socket>,
    socket_number: u64,
    socket_opened_at: Duration,
    socket_failures: u32,
    connect_at: Duration,
    /// An attempt is being written down.
    noting: bool,
    ticker_at: Option<Duration>,
    ticker_asked: bool,
    failed_tickers: Sampled,
    undecodable: Sampled,
    progress: Marker,
}

impl PriceFeed {
    /// A feed that knows nothing yet.
    pub fn new(shared: Arc<Shared>, network: Arc<NetworkShared>) -> Self {
        let (name, limit) = (network.feed_name(), shared.tuning.progress);
        Self {
            progress: shared.progress.part(&name, limit),
            shared,
            network,
            last: LastPrice::default(),
            levels: Levels::default(),
            watchers: HashMap::new(),
            socket: None,
            socket_number: 0,
            socket_opened_at: Duration::ZERO,
            socket_failures: 0,
            connect_at: Duration::ZERO,
            noting: false,
            ticker_at: None,
            ticker_asked: false,
            failed_tickers: Sampled::default(),
            undecodable: Sampled::default(),
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock.mono()
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        self.progress.mark();
        let (now, freshness) = (self.now(), self.shared.tuning.freshness);
        if self.socket.is_some() && self.last.is_deaf(self.socket_opened_at, now, &freshness) {
            self.lost("silent", "the ticker moves, the socket does not".to_owned());
        }
        if self.socket.is_none() && !self.noting && now >= self.connect_at {
            self.connect(context);
        }
        let due = self
            .ticker_at
            .is_none_or(|at| now >= at + freshness.ticker_period);
        if due && !self.ticker_asked && self.last.needs_ticker(now, &freshness) {
            self.ask_ticker(context);
        }
        context.run_later(BEAT, Self::beat);
    }

    fn connect(&mut self, context: &mut Context<Self>) {
        let permit = match self.network.sockets.for_prices() {
            Ok(permit) => permit,
            Err(free_at) => {
                self.connect_at = free_at;
                return;
            }
        };
        self.noting = true;
        let shared = Arc::clone(&self.shared);
        attempt(&shared, permit, context, |feed, permit, context| {
            feed.noting = false;
            match permit {
                Some(permit) => feed.open(permit, context),
                None => feed.connect_at = feed.now() + STORE_RETRY,
            }
        });
    }

    fn open(&mut self, permit: SocketPermit, context: &mut Context<Self>) {
        self.socket_number += 1;
        self.socket_opened_at = self.now();
        let plan = SocketPlan {
            credentials: None,
            topics: vec![Topic::LastPrice],
        };
        let clock = self.network.exchange_clock().clone();
        let windows = self.shared.tuning.stream;
        let (socket, receiver) = Socket::open(&self.network.network, plan, clock, windows, permit);
        self.socket = Some(socket);
        context.add_stream(events(self.socket_number, receiver));
    }

    fn lost(&mut self, cause: &'static str, detail: String) {
        let (now, windows) = (self.now(), self.shared.tuning.link);
        self.socket = None;
        self.network.price.is_pushed(false);
        self.socket_number += 1;
        if now.saturating_sub(self.socket_opened_at) >= windows.socket_stable {
            self.socket_failures = 0;
        }
        let pause = windows
            .socket_curve
            .delay(self.socket_failures, self.shared.clock.roll());
        self.socket_failures = self.socket_failures.saturating_add(1);
        self.connect_at = now + pause;
        let actor = self.network.feed_name();
        self.shared.events.emit(Event::SocketLost {
            account: None,
            actor,
            cause,
            detail,
        });
    }

    fn tell_undecodable(&mut self, detail: String) {
        if let Some(count) = self.undecodable.one_more("", self.now()) {
            self.shared.events.emit(Event::FrameUndecodable {
                account: None,
                actor: self.network.feed_name(),
                detail,
                count,
            });
        }
    }

    fn tick(&mut self, price: Price, time_ms: i64, read_at: Duration) {
        let dated_at = self.network.exchange_clock().to_mono(time_ms);
        let freshness = &self.shared.tuning.freshness;
        self.last.pushed(price, dated_at, read_at, freshness);
        self.network.price.ticks.one();
        self.network.price.is_pushed(true);
        self.network.price.publish(&self.last);
        self.evaluate(read_at);
    }

    fn show_levels(&self) {
        self.network.price.levels.set(self.levels.len());
    }

    /// Wakes everybody whose level the price has crossed; nobody on a price that nothing confirms.
    fn evaluate(&mut self, tick_at: Duration) {
        let Some(price) = self.last.usable(tick_at, &self.shared.tuning.freshness) else {
            return;
        };
        while let Some(key) = self.levels.pop_crossed(price) {
            if let Some(watcher) = self.watchers.remove(&key).and_then(|weak| weak.upgrade()) {
                let reached_at = self.now();
                watcher.do_send(LevelReached {
                    key,
                    tick_at: Some(tick_at),
                    reached_at,
                });
                let hops = &self.shared.events.metrics().hops;
                hops.reached.observe(reached_at.saturating_sub(tick_at));
            }
        }
        self.show_levels();
    }
}

impl Actor for PriceFeed {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("price_feed.started", &self.network.network.name);
        self.network.price.is_pushed(false);
        self.beat(context);
    }
}

impl Handler<Watch> for PriceFeed {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        let usable = self.last.usable(self.now(), &self.shared.tuning.freshness);
        if usable.is_some_and(|price| watch.level.is_reached(price)) {
            self.levels.remove(watch.key);
            self.watchers.remove(&watch.key);
            if let Some(watcher) = watch.to.upgrade() {
                watcher.do_send(LevelReached {
                    key: watch.key,
                    tick_at: None,
                    reached_at: self.now(),
                });
            }
        } else {
            self.levels.set(watch.key, watch.level);
            self.watchers.insert(watch.key, watch.to);
        }
        self.show_levels();
    }
}

impl Handler<Unwatch> for PriceFeed {
    type Result = ();

    fn handle(&mut self, Unwatch(key): Unwatch, _: &mut Context<Self>) {
        self.levels.remove(key);
        self.watchers.remove(&key);
        self.show_levels();
    }
}

impl StreamHandler<FromSocket> for PriceFeed {
    fn handle(&mut self, FromSocket(number, event): FromSocket, _: &mut Context<Self>) {
        if number != self.socket_number {
            return;
        }
        match event {
            SocketEvent::Frame(Frame::LastPrice { price, time_ms }, read_at) => {
                self.tick(price, time_ms, read_at);
            }
            SocketEvent::Frame(..) | SocketEvent::Forbidden(_) | SocketEvent::Ready => {}
            SocketEvent::Undecodable(detail) => self.tell_undecodable(detail),
            SocketEvent::Lost(cause, detail) => self.lost(cause.as_str(), detail),
        }
    }

    /// The end of a socket is no end of the feed.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

crate::crashable!(PriceFeed);
