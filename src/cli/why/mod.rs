//! `vigia why`: why something was done, or why nothing was.

mod allowed;
mod inaction;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::format::{described, percent, usd};
use super::names::Names;
use super::{rule_text, table};
use crate::config::Settings;
use crate::domain::execution::{Decision, State};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::levels::Level;
use crate::journal::{ArmedState, Execution, Journal, Source};
use crate::store::Automation;

/// Say why an execution was made and what became of it, or why an automation does not act
#[derive(Args, Debug)]
#[group(skip)]
pub struct WhyArgs {
    /// The execution's id
    #[arg(required_unless_present = "automation", conflicts_with_all = ["automation", "position"])]
    pub execution: Option<ExecutionId>,
    /// The automation that did not act
    #[arg(long, value_name = "ID", requires = "position")]
    pub automation: Option<String>,
    /// The position that it did not act on, or the word market for an entry
    #[arg(long, value_name = "ID", requires = "automation")]
    pub position: Option<PositionId>,
    /// Do not read the account from the exchange
    #[arg(long)]
    pub offline: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out `vigia why …`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    args: &WhyArgs,
    settings: &Settings,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match (args.execution, &args.automation, args.position) {
        (Some(id), ..) => acted(id, args.json, journal, context).await,
        (None, Some(automation), Some(position)) => {
            let automation = AutomationId::new(automation);
            inaction::explain(&automation, position, args, settings, journal, context).await
        }
        _ => anyhow::bail!("name an execution, or an automation and a position"),
    }
}

/// Why an execution was made, and what became of it.
async fn acted(
    id: ExecutionId,
    json: bool,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let execution = journal.execution(id).await?;
    // It may have been removed since: the execution stands for itself.
    let automation = journal.store().automation(&execution.automation).await.ok();
    let armings = journal.armings(&execution.automation, execution.rule_version);
    let arming = armings.await?.into_iter();
    let arming = arming.filter(|arming| arming.position == execution.position);
    let arming = arming
        .map(|arming| stands(arming.episode, &arming.state))
        .next();
    let account = Names::read(journal.store()).await?.of(&execution.account);
    let rule = automation.as_ref().map_or_else(
        || "the automation was removed".to_owned(),
        |automation| ruled(automation, execution.rule_version),
    );
    if json {
        return context.json(&json!({
            "execution": execution,
            "account": account,
            "rule": rule,
            "automation": automation,
            "arming": arming,
            "explanation": told(&execution, &account),
        }));
    }
    for line in told(&execution, &account) {
        writeln!(context.out, "{line}")?;
    }
    writeln!(context.out, "Rule: {rule}.")?;
    let arming = arming.unwrap_or_else(|| "nothing stands".to_owned());
    Ok(writeln!(context.out, "Arming now: {arming}.")?)
}

/// A rule in one line, and whether it is still the one that decided.
fn ruled(automation: &Automation, decided: i64) -> String {
    let text = match automation.rule() {
        Ok(rule) => format!("{}: {}", automation.kind, rule_text::summary(&rule)),
        Err(_) => format!("{}: its configuration cannot be obeyed", automation.kind),
    };
    match automation.rule_version {
        now if now == decided => format!("{text} (version {decided})"),
        now => format!("{text} (version {now}; version {decided} decided)"),
    }
}

/// The execution as a story: what was seen, what was decided, what came of it.
fn told(execution: &Execution, account: &str) -> Vec<String> {
    let decision = &execution.decision;
    let mut lines = vec![format!(
        "Automation {} ({}) of account {account}, for {}.",
        execution.automation,
        decision.rule,
        place(execution.position),
    )];
    lines.push(format!(
        "Saw: a price of {}, {} ms old{}.",
        usd(decision.price.usd()),
        decision.data_age_ms,
        inputs(decision)
    ));
    let value = decision.metric_value;
    let value = value.map_or_else(|| "infinite".to_owned(), |value| format!("{value:.6}"));
    lines.push(format!(
        "Held {} = {value} against {}: the rule {}.",
        decision.metric,
        decision.threshold,
        fires(decision.level)
    ));
    let cause = match execution.source {
        Source::Live => format!("by itself, in episode {}", execution.episode),
        Source::Job => "because a job asked".to_owned(),
    };
    let instead = if decision.fallback {
        ", in place of what could not be done"
    } else {
        ""
    };
    lines.push(format!(
        "Decided: {} {cause}{instead}, on {}.",
        decision.wanted,
        table::time(execution.created_at)
    ));
    lines.push(became(execution));
    lines
}

fn inputs(decision: &Decision) -> String {
    let mut text = String::new();
    if let Some(position) = &decision.position {
        text.push_str(&format!(
            "; a {} of {} at {} ({}, {:.2}x), margin {}, liquidation {}",
            position.side.direction(),
            position.quantity,
            usd(position.price.usd()),
            position.mode.as_str(),
            position.leverage,
            position.margin,
            usd(position.liquidation.usd())
        ));
    }
    if let Some(pnl) = decision.pnl {
        text.push_str(&format!("; a P&L of {pnl}"));
    }
    if let Some(ratio) = decision.margin_ratio {
        text.push_str(&format!("; a margin ratio of {}", percent(ratio)));
    }
    text
}

/// Where a rule fires, in words.
fn fires(level: Level) -> String {
    let below = level
        .at_or_below
        .map(|price| format!("at {} or below", usd(price.usd())));
    let above = level
        .at_or_above
        .map(|price| format!("at {} or above", usd(price.usd())));
    match (below, above) {
        (Some(below), Some(above)) => format!("fires {below}, and {above}"),
        (Some(one), None) | (None, Some(one)) => format!("fires {one}"),
        (None, None) => "has no price of its own".to_owned(),
    }
}

fn became(execution: &Execution) -> String {
    let ended = execution.finished_at.map(table::time).unwrap_or_default();
    let what = described(execution.action);
    let attempts = execution.attempts;
    let reason = execution.reason.as_deref().unwrap_or("no reason is known");
    match execution.state {
        State::Planned => format!("Waits to be sent: {what}."),
        State::Sending => format!("Is being sent, or looked up at the exchange: {what}."),
        State::Done => format!("Done: {what}, sent {attempts} time(s), on {ended}."),
        State::Failed => format!("Failed: {what}, on {ended}: {reason}."),
        State::Skipped => format!("Not sent: {what}, on {ended}: {reason}."),
        State::Uncertain => format!(
            "Uncertain: {what}: {reason}. Look at the exchange, then `vigia execution resolve {}`.",
            execution.id
        ),
    }
}

fn place(position: PositionId) -> String {
    match position {
        PositionId::MARKET => "the market".to_owned(),
        id => format!("position {id}"),
    }
}

/// What stands of an arming, in words.
fn stands(episode: i64, state: &ArmedState) -> String {
    match state {
        ArmedState::Armed => format!("episode {episode} is armed"),
        ArmedState::Fired {
            execution,
            state,
            reason,
            ..
        } => {
            let reason = reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            format!("episode {episode} has fired: execution {execution} is {state}{reason}")
        }
    }
}

/// Findings as JSON, for programs.
fn report(findings: &[inaction::Finding], answer: &str) -> Value {
    json!({"answer": answer, "findings": findings})
}
