//! The stage of these stories: the real actors in this process, the simulator over real sockets,
//! SQLite in a folder of its own, windows shortened about 1:20.

mod owners;
mod script;
mod traders;
mod waiting;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use vigia::app::App;
use vigia::clock::Clock;
use vigia::config::Settings;
use vigia::domain::execution::{Action, State};
use vigia::exchange::Rest;
use vigia::journal::{AuditFilter, Execution, Filter};
use vigia::simulator::{Control, LedgerEntry, LedgerKind, Simulator};
use vigia::telemetry::Event;

use crate::effects::is_an_effect;

pub use owners::{long, short};
pub use script::Script;
use script::Turn;
pub use traders::Trader;

/// The network of the simulator.
pub const NETWORK: &str = "sim";
/// The price at which positions are opened.
pub const CALM: f64 = 100_000.0;
/// The price at which [`adding`] and [`closing`] fire for a long of 10x.
pub const DANGER: f64 = 93_000.0;
/// The margin of a position of 10x.
pub const MARGIN: i64 = 1_000_000;
/// The REST route of added margin.
pub const ADD_MARGIN: &str = "/v3/futures/isolated/trade/add-margin";
/// The REST route of closes.
pub const CLOSE: &str = "/v3/futures/isolated/trade/close";
/// The REST route of new isolated trades; all others of one trade begin with it.
pub const TRADE: &str = "/v3/futures/isolated/trade";
/// The REST route of the book.
pub const RUNNING: &str = "/v3/futures/isolated/trades/running";

/// A guard that adds as much margin as the position has, once 70 % are lost.
pub fn adding() -> Value {
    json!({
        "action": "add_margin", "add_margin_amount": MARGIN,
        "metric": "margin_used", "margin_threshold": 0.7,
    })
}

/// [`adding`] with other values.
pub fn adding_but(changes: &Value) -> Value {
    but(adding(), changes)
}

/// A guard that closes once 70 % of the margin are lost.
pub fn closing() -> Value {
    json!({ "action": "close_position", "metric": "margin_used", "margin_threshold": 0.7 })
}

/// A guard that takes half off once 70 % of the margin are lost.
pub fn reducing() -> Value {
    json!({
        "action": "reduce_position", "reduce_percentage": 50,
        "metric": "margin_used", "margin_threshold": 0.7,
    })
}

/// A configuration with other values.
pub fn but(mut config: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A running service before a simulated exchange.
pub struct Stage {
    app: Option<App>,
    _simulator: Simulator,
    pub control: Control,
    pub settings: Settings,
    pub clock: Clock,
    /// The exchange as an owner of an account uses it, not through the service.
    pub rest: Rest,
    dry_run: bool,
    events: Receiver<Event>,
    seen: Vec<Event>,
    mark: usize,
    traders: Vec<Trader>,
    /// What owners did themselves, by key.
    by_hand: HashMap<String, Vec<(LedgerKind, Option<i64>)>>,
    _folder: TempDir,
    _turn: Turn,
}

impl Stage {
    /// The usual stage, without accounts yet.
    pub async fn set() -> Self {
        Script::new().play().await
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().expect("the service runs")
    }

    /// Stops the service; the exchange, the folder and the accounts stay.
    pub async fn stop(&mut self) {
        self.drain();
        let left = self.app.take().expect("it runs").stop().await.unwrap();
        assert_eq!(left, 0, "executions were still in hand after the stop");
    }

    /// Starts the service again on the same folder.
    pub async fn start_again(&mut self) {
        let app = App::start(&self.settings, self.dry_run).await.unwrap();
        self.events = app.shared.events.listen();
        self.app = Some(app);
    }

    /// What the service did to an account, by the exchange's own ledger.
    pub fn effects(&self, trader: &Trader) -> Vec<LedgerEntry> {
        let mut by_hand = self.by_hand.get(&trader.key).cloned().unwrap_or_default();
        let entries = self.control.ledger().into_iter();
        let entries = entries.filter(|entry| entry.key == trader.key && is_an_effect(entry));
        entries
            .filter(|entry| {
                let own = by_hand.iter().position(|(kind, amount)| {
                    *kind == entry.kind && (amount.is_none() || *amount == entry.amount)
                });
                own.map(|index| by_hand.remove(index)).is_none()
            })
            .collect()
    }

    /// All executions of an account, the first first.
    pub async fn executions(&self, trader: &Trader) -> Vec<Execution> {
        let filter = Filter {
            account: Some(trader.id.clone()),
            limit: 10_000,
            ..Filter::default()
        };
        let listed = self.app().shared.journal.executions(&filter).await;
        let mut rows = listed.unwrap().rows;
        rows.reverse();
        rows
    }

    /// The states in which an account's executions stand, the first first.
    pub async fn states(&self, trader: &Trader) -> Vec<State> {
        let rows = self.executions(trader).await;
        rows.iter().map(|row| row.state).collect()
    }

    /// How many times the exchange was asked for a route under `/v3`.
    pub fn asked(&self, method: &str, route: &str) -> u64 {
        let path = route.strip_prefix("/v3").unwrap_or(route);
        self.control.requests().of(&format!("{method} {path}"))
    }

    /// Ends the story: every effect at the exchange has its one execution and its one audit entry,
    /// the service stops in time, and nothing of it runs on.
    pub async fn end(mut self) {
        let shared = std::sync::Arc::clone(&self.app().shared);
        // What was done while the store was slow is in the file of intents until it has been taken over.
        self.until("the store knows all that was done", || {
            let standing = shared.journal.standing();
            standing.is_none_or(|told| told.outage.is_none() && told.waiting == 0)
        })
        .await;
        drop(shared);
        for trader in self.traders.clone() {
            self.account_for(&trader).await;
        }
        self.stop().await;
        let control = self.control.clone();
        self.until("all sockets are closed", || control.open_sockets() == 0)
            .await;
        let requests = || -> u64 { control.requests().by_route.values().sum() };
        let before = requests();
        // Whatever still runs would ask by then.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(requests(), before, "something still asks the exchange");
        let holder = vigia::store::folder::describe_holder(self.clock.utc());
        vigia::store::folder::DataFolder::lock(&self.settings.data_dir, &holder)
            .expect("the folder is free again");
    }

    async fn account_for(&self, trader: &Trader) {
        let rows = self.executions(trader).await;
        let done = rows.iter().filter(|row| row.state == State::Done).count();
        let legs: usize = rows.iter().map(legs).sum();
        let effects = self.effects(trader);
        let filter = AuditFilter {
            account: Some(trader.id.clone()),
            automation: None,
            limit: 10_000,
        };
        let audit = self.app().shared.journal.audit_entries(&filter).await;
        let audit = audit.unwrap().rows.len();
        assert_eq!(
            (done, legs),
            (audit, effects.len()),
            "{}: executions done and their legs, audit entries and effects at the exchange: \
             {effects:#?}\n{rows:#?}",
            trader.name
        );
    }
}

/// How many effects at the exchange an execution accounts for.
fn legs(row: &Execution) -> usize {
    match (row.state, row.action) {
        (State::Done, Action::Reopen(_)) => 2,
        (State::Done, _) => 1,
        (State::Failed, _) => usize::from(row.reason.as_deref() == Some("closed_not_reopened")),
        _ => 0,
    }
}
