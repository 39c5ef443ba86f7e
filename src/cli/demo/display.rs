//! What the demo shows while it runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::super::format::{described, micros, percent, thousands, usd};
use super::super::output::{note, say};
use super::stage::Stage;
use crate::actors::{Account, Shared};
use crate::domain::maths;
use crate::domain::units::Price;
use crate::simulator::{Control, LedgerKind};
use crate::telemetry::Event;

const FRAME: Duration = Duration::from_millis(50);
/// So many frames lie between two tables of the accounts.
const FRAMES_PER_TABLE: u32 = 40;
/// More accounts than this are summed up.
const MOST_LINES: usize = 12;

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
    liquidations: usize,
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
            liquidations: 0,
            seen: Seen::default(),
        }
    }

    pub fn introduce(&self, stage: &Stage, without_guards: bool) {
        self.line(format!(
            "exchange   {} (simulator)",
            stage.simulator.api_url()
        ));
        self.line(format!("data       {}", stage.settings.data_dir.display()));
        let guards = if without_guards {
            "none"
        } else {
            "margin_guard on each account: add_margin when 70 % of the margin is lost"
        };
        self.line(format!("guards     {guards}"));
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
        let liquidated = ledger
            .iter()
            .filter(|entry| entry.kind == LedgerKind::Liquidated);
        for entry in liquidated.skip(self.liquidations) {
            self.liquidations += 1;
            let price = entry.price.map(usd).unwrap_or_default();
            self.line(format!("  ✘ {:<12} LIQUIDATED at {price}", entry.key));
        }
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
                    "  ✔ {:<12} {what}   tick to order {latency:>8}   reply {reply:>8}",
                    account.name
                ));
            }
            Event::Failed {
                account, reason, ..
            } => {
                self.line(format!("  ✘ {:<12} failed: {reason}", account.name));
            }
            Event::Uncertain {
                account, evidence, ..
            } => {
                self.line(format!("  ? {:<12} uncertain: {evidence}", account.name));
            }
            Event::Skipped {
                account, reason, ..
            } => {
                self.line(format!(
                    "  - {:<12} skipped: {}",
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
                    "  ~ {:<12} {from} → {to} ({cause}, gap {gap_ms} ms)",
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
        for account in sorted.iter().take(MOST_LINES) {
            self.line(row(account, at));
        }
        if sorted.len() > MOST_LINES {
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
}

fn row(account: &Account, at: Price) -> String {
    let (view, name) = (account.view.load(), &account.tag.name);
    let Some(row) = view.rows.first() else {
        return format!("    {name:<12} no position   {}", view.transport);
    };
    let position = &row.position;
    format!(
        "    {name:<12} margin {:>12} sats   lost {:>7}   liquidation {:>10} ({:>6} away)   {}",
        thousands(position.margin.0),
        percent(maths::margin_used(position, at)),
        usd(position.liquidation.usd()),
        percent(maths::liquidation_distance(position, at)),
        view.transport,
    )
}
