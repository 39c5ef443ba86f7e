//! `vigia execution`: what was done, or not, and settling what nobody could tell.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};

use super::context::Context;
use super::format::{described, thousands};
use super::names::Names;
use super::table;
use crate::domain::audit::{Act, Actor, Entry};
use crate::domain::execution::{Decision, State};
use crate::domain::ids::{AutomationId, ExecutionId};
use crate::journal::{Execution, Filter, Journal, LIST_LIMIT, Settled};

/// List or show executions, or settle an uncertain one
#[derive(Args, Debug)]
pub struct ExecutionArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ExecutionCommand,
}

/// What can be done with executions.
#[derive(Debug, Subcommand)]
pub enum ExecutionCommand {
    /// List the latest executions, the latest first
    List(ListArgs),
    /// Show one execution
    Show {
        /// The execution's id
        execution: ExecutionId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Settle an uncertain execution, after looking at the exchange
    Resolve(ResolveArgs),
}

impl ExecutionArgs {
    /// Whether an audit entry is written.
    pub fn adds_an_entry(&self) -> bool {
        matches!(
            &self.command,
            ExecutionCommand::Resolve(args) if args.settled == SettledAs::Done
        )
    }
}

/// Which executions to list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Of this account only: its name or id
    #[arg(long)]
    pub account: Option<String>,
    /// Of this automation only
    #[arg(long, value_name = "ID")]
    pub automation: Option<String>,
    /// In this state only: planned, sending, done, failed, uncertain or skipped
    #[arg(long)]
    pub state: Option<State>,
    /// At most so many
    #[arg(long, default_value_t = LIST_LIMIT)]
    pub limit: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How an execution is settled.
#[derive(Args, Debug)]
pub struct ResolveArgs {
    /// The execution's id
    pub execution: ExecutionId,
    /// Whether the exchange shows that it was applied (done) or that it was not (failed)
    #[arg(long = "as", value_name = "STATE")]
    pub settled: SettledAs,
    /// What was seen, and by whom: it is kept with the execution
    #[arg(long)]
    pub note: String,
}

/// How an uncertain execution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SettledAs {
    /// It was applied
    Done,
    /// It was not applied
    Failed,
}

/// Carries out `vigia execution …`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    command: &ExecutionCommand,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match command {
        ExecutionCommand::List(args) => list(args, journal, context).await,
        ExecutionCommand::Show { execution, json } => {
            let execution = journal.execution(*execution).await?;
            show(&execution, *json, journal, context).await
        }
        ExecutionCommand::Resolve(args) => resolve(args, journal, context).await,
    }
}

async fn list(args: &ListArgs, journal: &Journal, context: &mut Context<'_>) -> anyhow::Result<()> {
    let account = match &args.account {
        Some(account) => Some(journal.store().account(account).await?.id),
        None => None,
    };
    let filter = Filter {
        account,
        automation: args.automation.as_ref().map(AutomationId::new),
        state: args.state,
        limit: args.limit,
    };
    let executions = journal.executions(&filter).await?;
    context.warn_of(&executions.unreadable)?;
    if args.json {
        return context.json(&executions.rows);
    }
    if executions.rows.is_empty() {
        writeln!(context.notes, "there are no such executions")?;
        return Ok(());
    }
    let names = Names::read(journal.store()).await?;
    let row = |execution: &Execution| {
        vec![
            execution.id.to_string(),
            table::time(execution.created_at),
            names.of(&execution.account),
            described(execution.action),
            execution.position.to_string(),
            execution.state.to_string(),
            execution.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = executions.rows.iter().map(row).collect();
    let headers = [
        "ID", "CREATED", "ACCOUNT", "ACTION", "POSITION", "STATE", "REASON",
    ];
    Ok(table::write(context.out, &headers, &rows)?)
}

async fn show(
    execution: &Execution,
    json: bool,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if json {
        return context.json(execution);
    }
    let names = Names::read(journal.store()).await?;
    let before = execution.before.map(|before| {
        let (margin, cash_in) = (before.margin.0, before.sum_cash_in_margin.0);
        let signed_at = table::time(before.signed_at);
        format!(
            "margin {} sats, of it cashed in so far {} sats\nsigned {signed_at}",
            thousands(margin),
            thousands(cash_in)
        )
    });
    let told = |json: Option<&serde_json::Value>| table::or_dash(json.map(table::fields));
    let pairs = [
        ("id", execution.id.to_string()),
        ("state", execution.state.to_string()),
        ("reason", table::or_dash(execution.reason.as_ref())),
        ("action", described(execution.action)),
        ("position", execution.position.to_string()),
        ("account", names.of(&execution.account)),
        ("automation", execution.automation.to_string()),
        ("rule version", execution.rule_version.to_string()),
        ("episode", execution.episode.to_string()),
        ("source", execution.source.as_str().to_owned()),
        ("attempts", execution.attempts.to_string()),
        ("planned", table::time(execution.created_at)),
        (
            "sent",
            table::or_dash(execution.sending_at.map(table::time)),
        ),
        (
            "ended",
            table::or_dash(execution.finished_at.map(table::time)),
        ),
        ("decision", decided(&execution.decision)),
        ("before", table::or_dash(before)),
        ("evidence", told(execution.evidence.as_ref())),
        ("outcome", told(execution.outcome.as_ref())),
    ];
    table::write_pairs(context.out, &pairs)?;
    if execution.state == State::Uncertain {
        writeln!(
            context.notes,
            "next: look at position {} at the exchange, then `vigia execution resolve {} --as \
             done|failed --note …`",
            execution.position, execution.id
        )?;
    }
    Ok(())
}

/// What was wanted, and what was seen when that was decided.
fn decided(decision: &Decision) -> String {
    let figure =
        |value: Option<f64>| table::or_dash(value.map(|value| (value * 1e4).round() / 1e4));
    let instead = if decision.fallback {
        ", in place of what could not be done"
    } else {
        ""
    };
    let pnl = table::or_dash(decision.pnl.map(|pnl| thousands(pnl.0)));
    format!(
        "{}: {}{instead}\n{} {}, threshold {}\nprice {}, {} ms old\nmargin ratio {}, P&L {pnl} sats",
        decision.rule,
        decision.wanted,
        decision.metric,
        figure(decision.metric_value),
        decision.threshold,
        decision.price,
        decision.data_age_ms,
        figure(decision.margin_ratio),
    )
}

async fn resolve(
    args: &ResolveArgs,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let note = args.note.trim();
    if note.is_empty() {
        bail!("--note is empty: say what was seen at the exchange, and by whom");
    }
    let execution = journal.execution(args.execution).await?;
    let settled = match args.settled {
        SettledAs::Failed => Settled::Failed,
        SettledAs::Done => {
            let names = Names::read(journal.store()).await?;
            let actor = Actor {
                automation: &execution.automation,
                execution: execution.id,
                account: &execution.account,
                account_name: &names.of(&execution.account),
            };
            let act = Act {
                position: execution.position,
                action: execution.action,
                decision: &execution.decision,
                outcome: &serde_json::Value::Null,
            };
            Settled::Done(Box::new(Entry::of(&actor, &act, context.now)))
        }
    };
    journal
        .resolve(execution.id, settled, note, context.now)
        .await?;
    let state = match args.settled {
        SettledAs::Done => State::Done,
        SettledAs::Failed => State::Failed,
    };
    Ok(writeln!(
        context.out,
        "execution {} is {state}",
        execution.id
    )?)
}
