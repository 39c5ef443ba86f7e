//! `vigia backtest`: the service's own decisions over recorded prices, without any socket.

mod acting;
mod coming;
mod execution;
mod holding;
mod ledger;
mod path;
mod replay;
mod report;
mod spec;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::DateTime;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::ledger::Ledger;
use self::replay::Replay;
use self::report::{Prices, Report};
use self::spec::Spec;
use super::output::say;
use super::rule_text;
use crate::domain::maths::fees::FeeTier;
use crate::domain::position::MarginMode;
use crate::domain::rules::{Rule, RuleKind};
use crate::domain::units::{Price, Sats};
use crate::simulator::{Candle, Tape};

/// The most satoshis there are.
const MOST_SATS: i64 = 2_100_000_000_000_000;

/// What `vigia backtest` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prices as CSV with the columns time,open,high,low,close
    #[arg(long, value_name = "FILE")]
    prices: PathBuf,
    /// The rule's configuration: JSON, or a file with it
    #[arg(long, value_name = "CONFIG")]
    automation: String,
    /// The type of automation, unless the configuration says it as {"type": …, "config": …}
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<RuleKind>,
    /// A position that is open at the start, as SIDE:QUANTITY@ENTRYxLEVERAGE[:cross][:sl=PRICE][:tp=PRICE];
    /// may be given more than once. ENTRY is a price in USD, or open for the first price
    #[arg(long = "position", value_name = "POSITION")]
    positions: Vec<Spec>,
    /// Satoshis that margin can be added from, and entries be paid with
    #[arg(long, value_name = "SATS", default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(0..=MOST_SATS))]
    balance: i64,
    /// Satoshis in the cross account, for a cross position or cross entries
    #[arg(long, value_name = "SATS", value_parser = clap::value_parser!(i64).range(1..=MOST_SATS))]
    cross_margin: Option<i64>,
    /// The account's fee tier: 1 is 0.1 %, 2 is 0.08 %, 3 is 0.07 %, 4 is 0.06 %
    #[arg(long, value_name = "TIER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    fee_tier: u8,
    /// Funding rate of every settlement at 00, 08 and 16 o'clock UTC, for example 0.0001
    #[arg(long, value_name = "RATE", default_value_t = 0.0, allow_negative_numbers = true, value_parser = rate)]
    funding_rate: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.abs() < 1.0);
    rate.ok_or_else(|| "a rate is a fraction under 1, for example 0.0001".to_owned())
}

/// Carries out `vigia backtest`.
///
/// # Errors
/// A file or a rule that cannot be used, or positions that cannot have been there.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let rule = rule(args)?;
    let candles = candles(args)?;
    let bar = progress_bar(candles.len());
    let report = replay(args, &rule, &candles, &bar)?;
    bar.finish_and_clear();
    if args.json {
        say(serde_json::to_string_pretty(&report)?)?;
    } else {
        let told = format!("{}: {}", rule.kind(), rule_text::summary(&rule));
        say(report.lines(&told)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// On a terminal; nothing is drawn elsewhere.
fn progress_bar(candles: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} candles, {eta} left");
    let bar = ProgressBar::new(candles as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn rule(args: &Args) -> Result<Rule> {
    let text = if args.automation.trim_start().starts_with('{') {
        args.automation.clone()
    } else {
        let read = std::fs::read_to_string(&args.automation);
        read.with_context(|| format!("{} cannot be read", args.automation))?
    };
    let config: Value = serde_json::from_str(&text).context("--automation is no JSON")?;
    let told = config.get("type").and_then(Value::as_str);
    let (kind, config) = match (args.kind, told, config.get("config")) {
        (kind, Some(told), Some(config)) => {
            let told: RuleKind = told.parse().map_err(|error: String| anyhow!(error))?;
            (kind.unwrap_or(told), config.clone())
        }
        (Some(kind), ..) => (kind, config),
        (None, ..) => bail!("say what the rule is with --type"),
    };
    let rule = Rule::parse(kind, &config).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow!("this {kind} cannot be obeyed; correct:{}", lines.concat())
    })?;
    match &rule {
        Rule::AutoEntry(entry) if entry.trigger.is_none() => {
            bail!("an entry without trigger_price runs by job only: give it one")
        }
        Rule::MarginGuard(_) | Rule::TpSl(_) if args.positions.is_empty() => {
            bail!("say what the rule would have watched with --position")
        }
        _ => Ok(rule),
    }
}

fn candles(args: &Args) -> Result<Vec<Candle>> {
    match Tape::from_csv(&args.prices)? {
        Tape::Candles(candles) => Ok(candles),
        Tape::Fixed(_) | Tape::Walk(_) => bail!("{} has no candles", args.prices.display()),
    }
}

fn tier(args: &Args) -> FeeTier {
    let index = usize::from(args.fee_tier.saturating_sub(1));
    FeeTier::ALL.get(index).copied().unwrap_or_default()
}

fn replay(args: &Args, rule: &Rule, candles: &[Candle], bar: &ProgressBar) -> Result<Report> {
    let prices = prices(args, candles)?;
    let mut ledger = Ledger::new(Sats(args.balance), tier(args));
    let cross_margin = Sats(args.cross_margin.unwrap_or_default());
    for spec in &args.positions {
        let placed = ledger.place(spec, cross_margin, prices.first, prices.from);
        placed.map_err(|error| anyhow!("--position {spec}: {error}"))?;
    }
    let has_cross = |spec: &Spec| spec.mode == MarginMode::Cross;
    if cross_margin > Sats::ZERO && !args.positions.iter().any(has_cross) {
        ledger.place_cross_account(cross_margin, prices.from);
    }
    alive(&ledger, prices.first)?;
    let begin =
        |rule, ledger| Replay::begin(rule, ledger, args.funding_rate, prices.first, prices.from);
    let mut without = begin(None, ledger.clone());
    let mut with = begin(Some(rule), ledger);
    for index in 0..candles.len() {
        let legs = path::legs(candles, index);
        let legs = legs.with_context(|| format!("candle {} is no price", index + 1))?;
        for leg in &legs {
            without.follow(leg);
            with.follow(leg);
        }
        bar.inc(1);
    }
    let automation = json!({"type": rule.kind(), "config": rule_text::normalised(rule)});
    Ok(Report::of(prices, automation, with, &without))
}

/// Whether the positions can have been there at the first price.
fn alive(ledger: &Ledger, first: Price) -> Result<()> {
    for holding in &ledger.holdings {
        let Some(position) = holding.position() else {
            continue;
        };
        let distance = crate::domain::maths::liquidation_distance(&position, first);
        if distance <= 0.0 {
            bail!(
                "--position {}: at the first price, {first}, it is past its liquidation at {}",
                holding.label,
                position.liquidation
            );
        }
    }
    Ok(())
}

fn prices(args: &Args, candles: &[Candle]) -> Result<Prices> {
    let (Some(one), Some(end)) = (candles.first(), candles.last()) else {
        bail!("{} has no candles", args.prices.display());
    };
    let price = |usd: f64| Price::from_usd(usd).with_context(|| format!("{usd} is no price"));
    let time = |candle: &Candle| {
        DateTime::from_timestamp_millis(candle.time).context("a time is out of range")
    };
    let lowest = candles.iter().map(|candle| candle.low);
    let highest = candles.iter().map(|candle| candle.high);
    Ok(Prices {
        file: args.prices.display().to_string(),
        candles: candles.len(),
        from: time(one)?,
        to: time(end)?,
        first: price(one.open)?,
        last: price(end.close)?,
        lowest: price(lowest.fold(f64::INFINITY, f64::min))?,
        highest: price(highest.fold(0.0, f64::max))?,
    })
}
