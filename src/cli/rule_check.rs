//! `vigia automation check`: what a rule would do, before it is relied on.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::own::{self, Own};
use super::preview::{self, Example};
use super::{rule_text, table};
use crate::config::Settings;
use crate::domain::position::MarginMode;
use crate::domain::rules::{Rule, RuleKind};
use crate::domain::units::Price;
use crate::store::Store;

/// A rule, and what it is tried on.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The type of automation: margin_guard, tp_sl or auto_entry
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

/// `vigia automation check`.
#[derive(Args, Debug)]
pub struct CheckCommand {
    /// The rule.
    #[command(flatten)]
    pub check: CheckArgs,
    /// Also show what it would do for the positions of this account, by its name or id, read from the
    /// exchange
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
}

/// Carries out `vigia automation check` without an account: that needs no store.
///
/// # Errors
/// A rule that cannot be obeyed, with everything that is wrong with it.
pub fn check(args: &CheckArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let config = args.rule.read()?;
    let rule = understood(args, &config, context)?;
    tell(args, &rule, None, context)
}

/// Carries out `vigia automation check` for an account.
///
/// # Errors
/// A rule that cannot be obeyed, or an account that does not exist.
pub async fn check_for(
    args: &CheckArgs,
    account: &str,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let config = args.rule.read()?;
    let rule = understood(args, &config, context)?;
    let account = store.account(account).await?;
    let own = own::read(settings, store, &account).await;
    tell(args, &rule, Some((&account.name, &own)), context)
}

fn tell(
    args: &CheckArgs,
    rule: &Rule,
    own: Option<(&str, &Own)>,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if args.json {
        return context.json(&report(rule, args.price, own));
    }
    explain(rule, args.price, own, context)
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

/// All that can be said of a rule, as JSON. `own` is an account's name and what was read of it.
pub(super) fn report(rule: &Rule, price: Price, own: Option<(&str, &Own)>) -> Value {
    let mut report = json!({
        "type": rule.kind(),
        "config": rule_text::normalised(rule),
        "examples": preview::examples(rule, price),
    });
    if let Some((account, own)) = own {
        report["account"] = match own {
            Ok(own) => json!({
                "name": account,
                "price": own.price,
                "positions": preview::own(rule, &own.positions, own.price),
                "unreadable": own.unreadable,
            }),
            Err(why) => json!({"name": account, "error": why}),
        };
    }
    report
}

/// All that can be said of a rule, for people.
pub(super) fn explain(
    rule: &Rule,
    price: Price,
    own: Option<(&str, &Own)>,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let summary = rule_text::summary(rule);
    writeln!(context.out, "{}: {summary}", rule.kind())?;
    let examples = preview::examples(rule, price);
    if rule.is_entry() {
        writeln!(context.out, "\nWhat it opens:")?;
    } else {
        let quantity = preview::QUANTITY;
        writeln!(context.out, "\nFor {quantity}, opened at {price}:")?;
    }
    rows(&examples, context)?;
    match own {
        None => {}
        Some((account, Err(why))) => {
            writeln!(
                context.notes,
                "note: the positions of account {account} were not read: {why}"
            )?;
        }
        Some((account, Ok(own))) => {
            let examples = preview::own(rule, &own.positions, own.price);
            writeln!(context.out, "\nFor account {account}, at {}:", own.price)?;
            if examples.is_empty() {
                writeln!(context.out, "it has no positions that this is for")?;
            } else {
                rows(&examples, context)?;
            }
            for unreadable in &own.unreadable {
                writeln!(context.notes, "warning: {unreadable}")?;
            }
        }
    }
    Ok(())
}

fn rows(examples: &[Example], context: &mut Context<'_>) -> anyhow::Result<()> {
    let name = |example: &Example| {
        let (side, leverage) = (example.side.direction(), example.leverage);
        let mode = match example.margin_mode {
            MarginMode::Isolated => "",
            MarginMode::Cross => " cross",
        };
        match example.position {
            Some(id) => format!("{side} {leverage:.1}x{mode} {id}"),
            None => format!("{side} {leverage}x{mode}"),
        }
    };
    let row = |example: &Example| {
        vec![
            name(example),
            table::or_dash(example.liquidation),
            example.on.as_str().to_owned(),
            table::or_dash(example.fires_at),
            table::or_dash(example.moved.map(preview::percent)),
            table::or_dash(example.from_liquidation.map(preview::percent)),
        ]
    };
    let rows: Vec<_> = examples.iter().map(row).collect();
    let headers = [
        "POSITION",
        "LIQUIDATION",
        "ON",
        "FIRES AT",
        "MOVE",
        "FROM LIQUIDATION",
    ];
    table::write(context.out, &headers, &rows)?;
    for example in examples {
        if let Some(warning) = &example.warning {
            let (name, on) = (name(example), example.on.as_str());
            writeln!(context.notes, "warning: {name}, {on}: {warning}")?;
        }
    }
    Ok(())
}
