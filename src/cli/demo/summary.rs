//! What came of the demo: the journal held against the simulator's ledger.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::super::format::micros;
use super::super::output::{note, say};
use super::display::Seen;
use super::effects::{self, Effect};
use crate::actors::Shared;
use crate::domain::connection::Transport;
use crate::domain::execution::State;
use crate::domain::rules::RuleKind;
use crate::journal::{Execution, Filter};
use crate::simulator::{Control, LedgerEntry, LedgerKind};

/// The summary, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    accounts: usize,
    ticks: u64,
    triggers: u64,
    executions: Executions,
    executions_by_type: BTreeMap<&'static str, Executions>,
    ledger: Agreement,
    liquidations: usize,
    transport: Transports,
    tick_to_order_us: Latency,
}

#[derive(Debug, Default, Serialize)]
struct Executions {
    done: u64,
    failed: u64,
    uncertain: u64,
    skipped: u64,
}

/// How ledger and journal agree.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Agreement {
    /// Effects of commands in the ledger; the two legs of a reduction are one.
    effects: u64,
    /// Reductions of which only the first leg was applied; not among the effects.
    closed_not_reopened: u64,
    /// Effects beyond one for each execution that the journal calls done.
    duplicates: u64,
    /// Executions that the journal calls done and the ledger does not know.
    missing: u64,
}

#[derive(Debug, Default, Serialize)]
struct Transports {
    websocket: usize,
    http: usize,
    switches: u32,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: Option<u64>,
    p99: Option<u64>,
    max: Option<u64>,
}

impl Summary {
    /// `owners` entries of the ledger are the owners' own, from before the watch began.
    pub async fn of(
        shared: &Shared,
        control: &Control,
        seen: &Seen,
        owners: usize,
    ) -> Result<Self> {
        let counts = shared.journal.counts().await?;
        let filter = Filter {
            limit: u64::from(u32::MAX),
            ..Filter::default()
        };
        let rows = shared.journal.executions(&filter).await?.rows;
        let ledger = control.ledger();
        let accounts = shared.accounts.load_full();
        let mut transport = Transports::default();
        for account in accounts.values() {
            let view = account.view.load();
            transport.switches += view.switches;
            match view.transport {
                Transport::Websocket => transport.websocket += 1,
                Transport::Http => transport.http += 1,
            }
        }
        let names: HashMap<_, _> = accounts
            .values()
            .map(|account| (&account.tag.id, &*account.tag.name))
            .collect();
        let wanted = |row: &Execution| {
            let name = names.get(&row.account).copied().unwrap_or_default();
            (effects::expected(row, name), effects::is_half(row))
        };
        Ok(Self {
            accounts: accounts.len(),
            ticks: control.ticks(),
            triggers: seen.triggers,
            executions_by_type: by_type(&rows),
            executions: Executions {
                done: counts.of(State::Done),
                failed: counts.of(State::Failed),
                uncertain: counts.of(State::Uncertain),
                skipped: counts.of(State::Skipped),
            },
            liquidations: ledger.iter().filter(|entry| is_liquidation(entry)).count(),
            ledger: compare(
                rows.iter().map(wanted),
                ledger.iter().skip(owners).filter_map(effects::applied),
            ),
            transport,
            tick_to_order_us: latency(&seen.tick_to_order_us),
        })
    }

    /// 0 only if ledger and journal agree, every trigger came to an end, and no guard failed its
    /// position; else what is wrong is told. A market without danger is no failure.
    pub fn exit_code(&self, guarded: bool) -> ExitCode {
        let e = &self.executions;
        let ended = e.done + e.failed + e.uncertain + e.skipped;
        let (duplicates, missing) = (self.ledger.duplicates, self.ledger.missing);
        let failures = [
            (duplicates > 0, "effects that the journal does not know"),
            (missing > 0, "executions without their effect"),
            (e.uncertain > 0, "executions whose outcome is unknown"),
            (self.triggers != ended, "triggers that came to no end"),
            (
                guarded && self.liquidations > 0,
                "positions that were liquidated under guard",
            ),
        ];
        let mut code = ExitCode::SUCCESS;
        for (_, what) in failures.iter().filter(|(failed, _)| *failed) {
            note(format_args!("failed: there are {what}"));
            code = ExitCode::FAILURE;
        }
        code
    }

    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            return Ok(say(serde_json::to_string(self)?)?);
        }
        let (e, l, t) = (&self.executions, &self.ledger, &self.transport);
        let time = |us: Option<u64>| us.map_or("—".to_owned(), micros);
        say("")?;
        say(format_args!("accounts       {}", self.accounts))?;
        say(format_args!("ticks          {}", self.ticks))?;
        say(format_args!("triggers       {}", self.triggers))?;
        say(format_args!(
            "executions     {} done, {} failed, {} uncertain, {} skipped",
            e.done, e.failed, e.uncertain, e.skipped
        ))?;
        for (kind, of) in &self.executions_by_type {
            say(format_args!(
                "  {kind:<13}{} done, {} failed, {} uncertain, {} skipped",
                of.done, of.failed, of.uncertain, of.skipped
            ))?;
        }
        say(format_args!(
            "ledger         {} effects, {} duplicates, {} missing",
            l.effects, l.duplicates, l.missing
        ))?;
        if l.closed_not_reopened > 0 {
            say(format_args!(
                "  {} reductions closed a position and did not reopen it",
                l.closed_not_reopened
            ))?;
        }
        say(format_args!("liquidations   {}", self.liquidations))?;
        say(format_args!(
            "transport      {} websocket, {} http, {} switches",
            t.websocket, t.http, t.switches
        ))?;
        say(format_args!(
            "tick to order  p50 {}, p99 {}, max {}",
            time(self.tick_to_order_us.p50),
            time(self.tick_to_order_us.p99),
            time(self.tick_to_order_us.max)
        ))?;
        Ok(())
    }
}

/// Executions by the type of their automation.
fn by_type(rows: &[Execution]) -> BTreeMap<&'static str, Executions> {
    let mut types: BTreeMap<_, Executions> = RuleKind::ALL
        .map(|kind| (kind.as_str(), Executions::default()))
        .into();
    for row in rows {
        let count = types.entry(row.decision.rule.as_str()).or_default();
        match row.state {
            State::Done => count.done += 1,
            State::Failed => count.failed += 1,
            State::Uncertain => count.uncertain += 1,
            State::Skipped => count.skipped += 1,
            State::Planned | State::Sending => {}
        }
    }
    types
}

/// Whether an entry of the ledger tells of a liquidation.
pub(super) fn is_liquidation(entry: &LedgerEntry) -> bool {
    matches!(
        entry.kind,
        LedgerKind::Liquidated | LedgerKind::CrossLiquidated
    )
}

/// Holds what each execution should have left against what the ledger knows.
fn compare(
    journal: impl Iterator<Item = (Vec<Effect>, bool)>,
    ledger: impl Iterator<Item = Effect>,
) -> Agreement {
    let mut agreement = Agreement::default();
    // Effects in the ledger less executions in the journal.
    let mut balance: HashMap<Effect, i64> = HashMap::new();
    for effect in ledger {
        agreement.effects += 1;
        *balance.entry(effect).or_default() += 1;
    }
    for (legs, is_half) in journal {
        let further = legs.len().saturating_sub(1) as u64;
        let half = u64::from(is_half);
        agreement.effects = agreement.effects.saturating_sub(further + half);
        agreement.closed_not_reopened += half;
        for effect in legs {
            *balance.entry(effect).or_default() -= 1;
        }
    }
    for left in balance.into_values() {
        if left > 0 {
            agreement.duplicates += left.unsigned_abs();
        } else {
            agreement.missing += left.unsigned_abs();
        }
    }
    agreement
}

fn latency(samples: &[u64]) -> Latency {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    // Nearest rank.
    let rank = |share: f64| {
        let index = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(index.saturating_sub(1)).copied()
    };
    Latency {
        p50: rank(0.50),
        p99: rank(0.99),
        max: sorted.last().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_and_missing_effects_are_counted() {
        let add = |sats: i64| format!("a trade {sats} added");
        let close = || "another closed".to_owned();
        let open = || "a new one filled".to_owned();
        let half = || "a third closed".to_owned();
        let whole = |effects: Vec<Effect>| (effects, false);
        let agreement = compare(
            [
                whole(vec![add(5)]),
                whole(vec![add(5)]),
                whole(vec![add(7)]),
                whole(vec![close(), open()]),
                (vec![half()], true),
            ]
            .into_iter(),
            [add(5), add(5), add(5), close(), open(), half()].into_iter(),
        );
        assert_eq!(
            agreement,
            Agreement {
                effects: 4,
                closed_not_reopened: 1,
                duplicates: 1,
                missing: 1
            }
        );
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples: Vec<u64> = (1..=200).rev().collect();
        let latency = latency(&samples);
        assert_eq!(
            (latency.p50, latency.p99, latency.max),
            (Some(100), Some(198), Some(200))
        );
        assert_eq!(super::latency(&[]).p50, None);
    }
}
