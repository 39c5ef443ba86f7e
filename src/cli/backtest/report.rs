//! What a replay says: with the rule and without it.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::execution::{Counts, Execution};
use super::holding::{EndedBy, Ending, Holding, Tally};
use super::replay::Replay;
use crate::cli::format::{described, thousands, usd};
use crate::cli::table;
use crate::domain::units::{Price, Sats};

/// So many executions are shown to people.
const MOST_SHOWN: usize = 50;

/// The prices that were replayed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prices {
    pub file: String,
    pub candles: usize,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub first: Price,
    pub last: Price,
    pub lowest: Price,
    pub highest: Price,
}

/// What became of one position.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fate {
    /// How it ended; null where it still ran at the end.
    ended: Option<Ending>,
    /// What came out of it beyond what went in, in satoshis; as if closed at the last price where
    /// it still ran.
    result: Sats,
    #[serde(flatten)]
    tally: Tally,
}

/// One position in both replays.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    position: String,
    /// Null for what the rule opened.
    without: Option<Fate>,
    with: Fate,
    /// What the rule saved, in satoshis; negative where it cost.
    saved: Sats,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// When the rule first fired.
    first_fired: Option<DateTime<Utc>>,
    executions: Counts,
    liquidations_without: usize,
    liquidations_with: usize,
    without: Sats,
    with: Sats,
    saved: Sats,
    /// Balance left, in satoshis.
    balance: Sats,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    prices: Prices,
    automation: Value,
    positions: Vec<Line>,
    executions: Vec<Execution>,
    summary: Summary,
}

impl Report {
    /// Holds the replay with the rule against the one without it.
    pub fn of(prices: Prices, automation: Value, with: Replay<'_>, without: &Replay<'_>) -> Self {
        let last = prices.last;
        let fate = |holding: &Holding| Fate {
            ended: holding.ending,
            result: holding.result(last, with.ledger.tier),
            tally: holding.tally,
        };
        let mut alone = without.ledger.holdings.iter().map(fate);
        let line = |holding: &Holding| {
            let (with, without) = (fate(holding), alone.next());
            let before = without.as_ref().map_or(Sats::ZERO, |fate| fate.result);
            Line {
                position: holding.label.clone(),
                saved: with.result - before,
                without,
                with,
            }
        };
        let positions: Vec<_> = with.ledger.holdings.iter().map(line).collect();
        let summary = Summary::of(&positions, &with);
        Self {
            prices,
            automation,
            positions,
            executions: with.record.kept,
            summary,
        }
    }

    /// The report for people.
    pub fn lines(&self, rule: &str) -> std::io::Result<String> {
        let mut out = vec![];
        let Prices {
            file,
            candles,
            from,
            to,
            ..
        } = &self.prices;
        let (from, to) = (table::time(*from), table::time(*to));
        let price = |price: Price| usd(price.usd());
        let mut head = String::new();
        let _ = writeln!(
            head,
            "{file}: {candles} candles from {from} to {to}\nfrom {} to {}, lowest {}, highest {}\n\
             rule: {rule}\n",
            price(self.prices.first),
            price(self.prices.last),
            price(self.prices.lowest),
            price(self.prices.highest),
        );
        out.extend(head.into_bytes());
        self.write_executions(&mut out)?;
        self.write_positions(&mut out)?;
        let Summary {
            without,
            with,
            saved,
            liquidations_without,
            liquidations_with,
            ..
        } = &self.summary;
        let mut end = String::new();
        let _ = write!(
            end,
            "\nliquidations: {liquidations_without} without the rule, {liquidations_with} with it\n\
             result: {} sats without the rule, {} sats with it: it {} {} sats",
            thousands(without.0),
            thousands(with.0),
            if saved.0 < 0 { "cost" } else { "saved" },
            thousands(saved.0.abs()),
        );
        out.extend(end.into_bytes());
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn write_executions(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.executions.is_empty() {
            out.extend(b"It would not have fired.\n\n");
            return Ok(());
        }
        let row = |execution: &Execution| {
            let mut outcome = execution.state.to_string();
            if let Some(reason) = &execution.reason {
                let _ = write!(outcome, ": {reason}");
            }
            if execution.times > 1 {
                let _ = write!(outcome, " ({} times)", execution.times);
            }
            vec![
                table::time(execution.time),
                execution.position.clone(),
                usd(execution.price.usd()),
                table::or_dash(execution.action.map(described)),
                outcome,
                table::or_dash(execution.liquidation.map(|price| usd(price.usd()))),
            ]
        };
        let rows: Vec<_> = self.executions.iter().take(MOST_SHOWN).map(row).collect();
        let headers = [
            "FIRED",
            "POSITION",
            "PRICE",
            "ACTION",
            "OUTCOME",
            "LIQUIDATION",
        ];
        table::write(out, &headers, &rows)?;
        let more = self.executions.len() - rows.len();
        if more > 0 {
            writeln!(out, "… and {more} more: --json lists them")?;
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_positions(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let row = |line: &Line| {
            vec![
                line.position.clone(),
                line.without
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), Fate::told),
                line.with.told(),
                thousands(line.with.tally.margin_added.0),
                thousands(line.with.tally.trading_fees.0),
                thousands(line.saved.0),
            ]
        };
        let rows: Vec<_> = self.positions.iter().map(row).collect();
        let headers = [
            "POSITION",
            "WITHOUT",
            "WITH",
            "MARGIN ADDED",
            "FEES",
            "SAVED",
        ];
        table::write(out, &headers, &rows)
    }
}

impl Fate {
    fn told(&self) -> String {
        let result = thousands(self.result.0);
        match self.ended {
            None => format!("ran on: {result}"),
            Some(ending) => {
                let by = match ending.by {
                    EndedBy::Liquidation => "liquidated",
                    EndedBy::Stoploss => "stopped",
                    EndedBy::Takeprofit => "took profit",
                    EndedBy::Rule => "closed",
                };
                let (time, price) = (table::time(ending.time), usd(ending.price.usd()));
                format!("{by} {time} at {price}: {result}")
            }
        }
    }

    fn is_liquidation(&self) -> bool {
        self.ended
            .is_some_and(|ending| ending.by == EndedBy::Liquidation)
    }
}

impl Summary {
    fn of(positions: &[Line], with: &Replay<'_>) -> Self {
        let without = || positions.iter().filter_map(|line| line.without.as_ref());
        Self {
            first_fired: with.record.kept.first().map(|execution| execution.time),
            executions: with.record.counts,
            liquidations_without: without().filter(|fate| fate.is_liquidation()).count(),
            liquidations_with: positions
                .iter()
                .filter(|line| line.with.is_liquidation())
                .count(),
            without: without().map(|fate| fate.result).sum(),
            with: positions.iter().map(|line| line.with.result).sum(),
            saved: positions.iter().map(|line| line.saved).sum(),
            balance: with.ledger.balance,
        }
    }
}
