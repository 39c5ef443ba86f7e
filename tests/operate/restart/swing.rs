//! A market that swings, each swing firing rules whose effects are counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, MissedTickBehavior};
use vigia::domain::ids::{AccountId, AutomationId};
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Control, LedgerKind};
use vigia::telemetry::Event;

use super::neighbours::Latencies;
use crate::harness::{CALM, Stage, Trader};

/// Between two ticks.
const TICK: Duration = Duration::from_millis(10);
/// How far ticks stray from the price of the swing, USD.
const STRAY: f64 = 0.5;
/// The price of a swing up, USD: a profit of every long.
const UP: f64 = CALM + 1_000.0;
/// What a guard adds each time: enough for it to be content, however often it has added before.
const ADDED: i64 = 3_000;
/// The share of its margin that a guarded long has lost when the market is down.
const LOST: f64 = 0.7002;
/// Everything that one swing brings about comes within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prices, a hundred a second, until it is dropped.
pub struct Market {
    cents: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Market {
    pub fn open(control: &Control) -> Self {
        let market = Self {
            cents: Arc::new(AtomicU64::new((CALM * 100.0) as u64)),
            ended: Arc::default(),
        };
        let (cents, ended) = (Arc::clone(&market.cents), Arc::clone(&market.ended));
        let control = control.clone();
        actix_rt::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut stray = STRAY;
            while !ended.load(Ordering::Relaxed) {
                ticks.tick().await;
                let price = cents.load(Ordering::Relaxed) as f64 / 100.0;
                control.set_price(price + stray).unwrap();
                stray = -stray;
            }
        });
        market
    }

    fn go(&self, usd: f64) {
        self.cents.store((usd * 100.0) as u64, Ordering::Relaxed);
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Sets the take-profit when there is a profit, or another one when there is a loss.
fn stops(direction: &str, takeprofit: f64) -> Value {
    json!({
        "action": "update_tp", "new_takeprofit": takeprofit, "trigger_pnl_percentage": 100,
        "pnl_basis": "quantity", "direction": direction, "cooldown_seconds": 0,
    })
}

/// An account that acts at each swing, and what of it was heard.
pub struct Actor {
    pub trader: Trader,
    guarded: bool,
    /// Executions that are done.
    done: usize,
}

/// A stage on which some act at each swing.
pub struct Swings {
    pub market: Market,
    pub actors: Vec<Actor>,
    events: Receiver<Event>,
    ups: usize,
    downs: usize,
    /// Ticks to orders of the accounts that are not restarted, by account.
    pub latencies: Latencies,
    /// What nobody should have heard.
    pub unwanted: Vec<Event>,
    /// How long the slowest swing took until all had acted.
    pub slowest: Duration,
    /// Between two swings lies at least this.
    pub pace: Duration,
}

impl Stage {
    /// An account that sets stops at each swing; guarded, it adds margin too at each swing down.
    pub async fn actor(&mut self, name: &str, guarded: bool) -> Actor {
        let leverage = if guarded { 10 } else { 1 };
        let trader = self.trader_with(name, 200_000_000, leverage).await;
        let mut rules: Vec<AutomationId> = vec![];
        for config in [stops("profit", 190_000.0), stops("loss", 180_000.0)] {
            rules.push(self.automation(&trader, RuleKind::TpSl, config).await);
        }
        if guarded {
            let config = json!({
                "action": "add_margin", "add_margin_amount": ADDED,
                "metric": "margin_used", "margin_threshold": 0.7, "cooldown_seconds": 0,
            });
            rules.push(self.guard(&trader, config).await);
        }
        for rule in &rules {
            self.armed(rule).await;
        }
        Actor {
            trader,
            guarded,
            done: 0,
        }
    }

    /// Begins to swing.
    pub fn swings(&self, actors: Vec<Actor>) -> Swings {
        Swings {
            market: Market::open(&self.control),
            actors,
            events: self.app().shared.events.listen(),
            ups: 0,
            downs: 0,
            latencies: Latencies::new(),
            unwanted: vec![],
            slowest: Duration::ZERO,
            pace: Duration::ZERO,
        }
    }
}

impl Swings {
    /// Moves the market to the other side, and waits until everybody has done there what he should.
    pub async fn swing(&mut self, stage: &mut Stage) {
        let began = Instant::now();
        if self.ups > self.downs {
            self.downs += 1;
            self.market.go(self.lowest(stage));
        } else {
            self.ups += 1;
            self.market.go(UP);
        }
        while let Some(late) = self.late() {
            let heard = tokio::time::timeout_at(began + PATIENCE, self.events.recv()).await;
            let Ok(event) = heard else {
                stage.mark();
                panic!(
                    "after {} swings up and {} down: {late}",
                    self.ups, self.downs
                );
            };
            self.hear(event.expect("nothing was missed"));
        }
        self.slowest = self.slowest.max(began.elapsed());
        stage.mark();
        tokio::time::sleep_until(began + self.pace).await;
    }

    /// Where the guarded long has lost what its guard does not allow.
    fn lowest(&self, stage: &Stage) -> f64 {
        let guarded = self.actors.iter().find(|actor| actor.guarded);
        let margin = guarded.map_or(1_000_000, |actor| stage.margin(&actor.trader));
        let per_sat = 1.0 / (10_000.0 * 1e8);
        let price = 1.0 / (1.0 / CALM + LOST * margin as f64 * per_sat);
        (price * 2.0).floor() / 2.0
    }

    fn late(&self) -> Option<String> {
        let mut actors = self.actors.iter();
        let late = actors.find(|actor| actor.done < self.due(actor))?;
        let (name, done, due) = (&late.trader.name, late.done, self.due(late));
        Some(format!("{name} has done {done} of {due}"))
    }

    fn due(&self, actor: &Actor) -> usize {
        let added = if actor.guarded { self.downs } else { 0 };
        self.ups + self.downs + added
    }

    fn hear(&mut self, event: Event) {
        let mut actors = self.actors.iter_mut();
        match event {
            Event::Done {
                account,
                tick_to_order_us,
                ..
            } => {
                let Some(actor) = actors.find(|actor| actor.trader.id == account.id) else {
                    return;
                };
                actor.done += 1;
                if let (false, Some(us)) = (actor.guarded, tick_to_order_us) {
                    let name = actor.trader.name.clone();
                    self.latencies
                        .entry(name)
                        .or_default()
                        .push(us as f64 / 1e3);
                }
            }
            Event::ConnectionState { .. }
            | Event::Failed { .. }
            | Event::Uncertain { .. }
            | Event::Skipped { .. }
            | Event::Alarm { .. }
            | Event::ActorDied { .. }
            | Event::AccountRestartRefused { .. } => self.unwanted.push(event),
            Event::TransportSwitched { ref account, .. } => {
                let restarted = actors.any(|one| one.guarded && one.trader.id == account.id);
                if !restarted {
                    self.unwanted.push(event);
                }
            }
            _ => {}
        }
    }

    /// How many effects the swings so far should have had.
    pub fn effects(&self) -> usize {
        self.actors.iter().map(|actor| self.due(actor)).sum()
    }

    /// Each swing had its effects at the exchange, once each, by the exchange's own ledger.
    pub fn each_once(&self, stage: &Stage) {
        let mut applied: HashMap<(&str, LedgerKind), usize> = HashMap::new();
        let ledger = stage.control.ledger();
        for entry in &ledger {
            *applied.entry((&entry.key, entry.kind)).or_default() += 1;
        }
        for actor in &self.actors {
            let key = actor.trader.key.as_str();
            let times = |kind| applied.get(&(key, kind)).copied().unwrap_or(0);
            let (set, added) = (
                times(LedgerKind::TakeprofitSet),
                times(LedgerKind::MarginAdded),
            );
            let due = self.ups + self.downs;
            assert_eq!(set, due, "take-profits set for {}", actor.trader.name);
            let due = if actor.guarded { self.downs } else { 0 };
            assert_eq!(added, due, "margin added for {}", actor.trader.name);
        }
    }

    /// The account that is restarted.
    pub fn restarted(&self) -> &Trader {
        let mut actors = self.actors.iter();
        &actors.find(|actor| actor.guarded).expect("one is").trader
    }

    /// Nothing was heard that nobody should have.
    pub fn undisturbed(&self, id: &AccountId) {
        assert!(
            self.unwanted.is_empty(),
            "while {id} was restarted: {:#?}",
            self.unwanted
        );
    }
}
