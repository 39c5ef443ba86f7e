//! What the demo shows while it runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::super::format::{described, micros, percent, thousands, usd};
use super::super::output::{note, say};
use super::cast::CAST;
use super::stage::Stage;
use super::summary::is_liquidation;
use crate::actors::{Account, Shared};
use crate::domain::maths;
use crate::domain::position::Position;
use crate::domain::units::Price;
use crate::simulator::{Control, LedgerEntry, LedgerKind};
use crate::telemetry::Event;

const FRAME: Duration = Duration::from_millis(50);
/// So many frames lie between two tables of the accounts.
const FRAMES_PER_TABLE: u32 = 40;
/// More accounts than this are summed up.
const MOST_ACCOUNTS: usize = 12;
/// Room for the name of an account.
const NAME_WIDTH: usize = 16;

/// What the display has seen, for the summary.
#[derive(Default)]
pub(super) struct Seen {
    pub triggers: u64,
    pub tick_to_order_us: Vec<u64>,
}

/// The demo's display.
pub(super) struct Display {
    shared: Arc<Shared>,
    control: Control,
    events: Receiver<Event>,
    to_stderr: bool,
    /// Entries of the ledger that were looked at.
    entries: usize,
    pub seen: Seen,
}

impl Display {
    pub fn new(shared: Arc<Shared>, control: Control, to_stderr: bool) -> Self {
        let events = shared.events.listen();
        Self {
            shared,
            control,
            events,
            to_stderr,
            entries: 0,
            seen: Seen::default(),
        }
    }

    pub fn introduce(&self, stage: &Stage, without_guards: bool) {
        self.line(format!(
            "exchange   {} (simulator)",
            stage.simulator.api_url()
        ));
        self.line(format!("data       {}", stage.settings.data_dir.display()));
        if without_guards {
            self.line("watched    by nobody".to_owned());
            return;
        }
        for owner in stage.owners.iter().take(CAST.len()) {
            self.line(format!(
                "  {:<NAME_WIDTH$} {}",
                owner.account.key,
                owner.part.told()
            ));
        }
    }

    pub fn note(&self, text: &str) {
        self.line(text.to_owned());
    }

    fn line(&self, text: String) {
        if self.to_stderr {
            note(text);
        } else {
            // The demo's judgement is its exit code, whether or not it can be watched.
            let _ = say(text);
        }
    }

    /// Shows what happens, for as long as it is polled.
    pub async fn show(&mut self) {
        loop {
            self.table();
            for _ in 0..FRAMES_PER_TABLE {
                self.catch_up();
                tokio::time::sleep(FRAME).await;
            }
        }
    }

    /// Shows what has happened up to now.
    pub fn catch_up(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.event(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        let ledger = self.control.ledger();
        for entry in ledger.iter().skip(self.entries) {
            self.by_the_exchange(entry);
        }
        self.entries = ledger.len();
    }

    /// What the exchange did by itself.
    fn by_the_exchange(&self, entry: &LedgerEntry) {
        let (key, price) = (&entry.key, entry.price.map(usd).unwrap_or_default());
        let what = match entry.kind {
            _ if is_liquidation(entry) => "LIQUIDATED",
            LedgerKind::StoplossHit => "closed by its stop-loss",
            LedgerKind::TakeprofitHit => "closed by its take-profit",
            _ => return,
        };
        let sign = if is_liquidation(entry) { '✘' } else { '■' };
        self.line(format!("  {sign} {key:<NAME_WIDTH$} {what} at {price}"));
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Triggered { .. } => self.seen.triggers += 1,
            Event::Done {
                account,
                action,
                tick_to_order_us,
                request_us,
                ..
            } => {
                self.seen.tick_to_order_us.extend(tick_to_order_us);
                let what = described(action);
                let latency = tick_to_order_us.map_or("—".to_owned(), micros);
                let reply = request_us.map_or("proven".to_owned(), micros);
                self.line(format!(
                    "  ✔ {:<NAME_WIDTH$} {what}   tick to order {latency:>8}   reply {reply:>8}",
                    account.name
                ));
            }
            Event::Failed {
                account, reason, ..
            } => {
                self.line(format!(
                    "  ✘ {:<NAME_WIDTH$} failed: {reason}",
                    account.name
                ));
            }
            Event::Uncertain {
                account, evidence, ..
            } => {
                self.line(format!(
                    "  ? {:<NAME_WIDTH$} uncertain: {evidence}",
                    account.name
                ));
            }
            Event::Skipped {
                account, reason, ..
            } => {
                self.line(format!(
                    "  - {:<NAME_WIDTH$} skipped: {}",
                    account.name,
                    reason.as_str()
                ));
            }
            Event::TransportSwitched {
                account,
                from,
                to,
                gap_ms,
                cause,
            } => {
                self.line(format!(
                    "  ~ {:<NAME_WIDTH$} {from} → {to} ({cause}, gap {gap_ms} ms)",
                    account.name
                ));
            }
            Event::Alarm {
                account,
                what,
                detail,
            } => {
                self.line(format!(
                    "  ! {:<NAME_WIDTH$} {what}: {detail}",
                    account.name
                ));
            }
            Event::ActorDied { actor, cause } => self.line(format!("  ! {actor} died: {cause}")),
            _ => {}
        }
    }

    fn table(&self) {
        let price = self.control.price();
        self.line(format!(
            "price {:>10}   tick {:>6}",
            usd(price),
            self.control.ticks()
        ));
        let Some(at) = Price::from_usd(price) else {
            return;
        };
        let accounts = self.shared.accounts.load_full();
        let mut sorted: Vec<_> = accounts.values().collect();
        sorted.sort_by(|a, b| a.tag.name.cmp(&b.tag.name));
        for account in sorted.iter().take(MOST_ACCOUNTS) {
            self.rows(account, at);
        }
        if sorted.len() > MOST_ACCOUNTS {
            let mut transports: HashMap<String, usize> = HashMap::new();
            for account in &sorted {
                *transports
                    .entry(account.view.load().transport.to_string())
                    .or_default() += 1;
            }
            self.line(format!(
                "    … {} accounts in all, {transports:?}",
                sorted.len()
            ));
        }
    }

    fn rows(&self, account: &Account, at: Price) {
        let (view, name) = (account.view.load(), &account.tag.name);
        if view.rows.is_empty() {
            self.line(format!(
                "    {name:<NAME_WIDTH$} no position   {}",
                view.transport
            ));
        }
        for row in &view.rows {
            let row = row_text(&row.position, at);
            self.line(format!(
                "    {name:<NAME_WIDTH$} {row}   {}",
                view.transport
            ));
        }
    }
}

fn row_text(position: &Position, at: Price) -> String {
    format!(
        "{:<5} {:>6} USD  margin {:>11} sats  lost {:>7}  liquidation {:>9} ({:>6} away)",
        position.side.direction(),
        thousands(position.quantity.0),
        thousands(position.margin.0),
        percent(maths::margin_used(position, at)),
        usd(position.liquidation.usd()),
        percent(maths::liquidation_distance(position, at)),
    )
}
