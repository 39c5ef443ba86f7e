//! `vigia automation check`: what a rule would do, before it is relied on.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::preview::{self, Example};
use super::table;
use crate::domain::rules::{Rule, RuleKind};
use crate::domain::units::Price;

/// A rule, and what it is tried on.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The type of automation: margin_guard
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: RuleKind,
    /// The rule.
    #[command(flatten)]
    pub rule: RuleArgs,
    /// The price in USD at which the example positions are opened
    #[arg(long, value_name = "USD", default_value = "100000", value_parser = price)]
    pub price: Price,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where a rule's configuration comes from.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RuleArgs {
    /// The rule's configuration, as JSON (`--config` names the service's configuration file)
    #[arg(long, value_name = "JSON")]
    pub rule: Option<String>,
    /// A file with the rule's configuration as JSON
    #[arg(long, value_name = "FILE")]
    pub rule_file: Option<PathBuf>,
}

fn price(text: &str) -> Result<Price, String> {
    let usd = text.parse().ok().and_then(Price::from_usd);
    usd.ok_or_else(|| "give a price in USD, for example 100000".to_owned())
}

impl RuleArgs {
    pub(super) fn read(&self) -> anyhow::Result<Value> {
        let (text, source) = match (&self.rule, &self.rule_file) {
            (Some(text), _) => (text.clone(), "--rule".to_owned()),
            (None, Some(path)) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path);
                (
                    text.with_context(|| format!("{name} cannot be read"))?,
                    name,
                )
            }
            (None, None) => bail!("give the rule with --rule or --rule-file"),
        };
        serde_json::from_str(&text).with_context(|| format!("{source} is no JSON"))
    }
}

/// Carries out `vigia automation check`, which needs no store.
///
/// # Errors
/// A rule that cannot be obeyed, with everything that is wrong with it.
pub fn check(args: &CheckArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let config = args.rule.read()?;
    let rule = understood(args, &config, context)?;
    let examples = preview::examples(&rule, args.price);
    if args.json {
        return context.json(&report(&rule, &examples));
    }
    explain(&rule, &examples, args.price, context)
}

/// The rule, or all that is wrong with it: in full as JSON where that was asked for.
pub(super) fn understood(
    args: &CheckArgs,
    config: &Value,
    context: &mut Context<'_>,
) -> anyhow::Result<Rule> {
    match Rule::parse(args.kind, config) {
        Ok(rule) => Ok(rule),
        Err(errors) => {
            if args.json {
                context.json(&json!({"type": args.kind, "errors": errors}))?;
            }
            let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
            bail!(
                "this {} cannot be obeyed; correct:{}",
                args.kind,
                lines.concat()
            );
        }
    }
}

pub(super) fn report(rule: &Rule, examples: &[Example]) -> Value {
    json!({
        "type": rule.kind(),
        "config": preview::normalised(rule),
        "examples": examples,
    })
}

pub(super) fn explain(
    rule: &Rule,
    examples: &[Example],
    price: Price,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    writeln!(context.out, "{}: {}", rule.kind(), preview::summary(rule))?;
    writeln!(
        context.out,
        "\nLong {} USD, opened at {price}:",
        preview::QUANTITY.0
    )?;
    let row = |example: &Example| {
        vec![
            format!("{}x", example.leverage),
            example.liquidation.to_string(),
            table::or_dash(example.fires_at),
            table::or_dash(example.moved.map(preview::percent)),
            table::or_dash(example.from_liquidation.map(preview::percent)),
        ]
    };
    let rows: Vec<_> = examples.iter().map(row).collect();
    let headers = [
        "LEVERAGE",
        "LIQUIDATION",
        "FIRES AT",
        "MOVE",
        "FROM LIQUIDATION",
    ];
    table::write(context.out, &headers, &rows)?;
    for example in examples {
        if let Some(warning) = &example.warning {
            let leverage = example.leverage;
            writeln!(context.notes, "warning: at {leverage}x {warning}")?;
        }
    }
    Ok(())
}
