//! `vigia audit`: the permanent record of executed actions.

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::names::Names;
use super::table;
use crate::domain::audit::Entry;
use crate::domain::ids::AutomationId;
use crate::journal::{AuditFilter, AuditRow, Journal, LIST_LIMIT};

/// Read the audit log
#[derive(Args, Debug)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List the latest entries, the latest last
    List(ListArgs),
}

/// Which entries to list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Of this account only: its name or id
    #[arg(long)]
    pub account: Option<String>,
    /// Of this automation only
    #[arg(long, value_name = "ID")]
    pub automation: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = LIST_LIMIT)]
    pub limit: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out `vigia audit …`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    command: &AuditCommand,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let AuditCommand::List(args) = command;
    let account = match &args.account {
        Some(account) => Some(journal.store().account(account).await?.id),
        None => None,
    };
    let filter = AuditFilter {
        account,
        automation: args.automation.as_ref().map(AutomationId::new),
        limit: args.limit,
    };
    let mut entries = journal.audit_entries(&filter).await?;
    context.warn_of(&entries.unreadable)?;
    entries.rows.reverse();
    if args.json {
        let entries: Vec<_> = entries.rows.iter().map(numbered).collect();
        return context.json(&entries);
    }
    if entries.rows.is_empty() {
        writeln!(context.notes, "there are no such audit entries")?;
        return Ok(());
    }
    let names = Names::read(journal.store()).await?;
    let numbers: Vec<_> = entries.rows.iter().map(|row| row.seq.to_string()).collect();
    let lines = entries.rows.iter().map(|row| lines(row, &names));
    let pairs: Vec<_> = numbers.iter().map(String::as_str).zip(lines).collect();
    Ok(table::write_pairs(context.out, &pairs)?)
}

/// An entry in the shape that its readers know, its number among the particulars.
fn numbered(row: &AuditRow) -> Entry {
    let mut entry = row.entry.clone();
    if let Some(data) = entry.data.as_object_mut() {
        data.insert("seq".to_owned(), json!(row.seq));
    }
    entry
}

/// What is told of an entry beside its message, in this order, where it is there.
const TOLD: [(&str, &str); 15] = [
    ("amount", "{} sats"),
    ("kept", "{} USD kept"),
    ("leverage", "leverage {}"),
    ("marginMode", "{} margin"),
    ("takeprofit", "take-profit {}"),
    ("stoploss", "stop-loss {}"),
    ("pnl", "P&L {} sats"),
    ("pnlPercentage", "{} % of its basis"),
    ("marginRatio", "margin ratio {}"),
    ("price", "decided at {}"),
    ("exitPrice", "closed at {}"),
    ("leftOut", "left out {}"),
    ("tradeId", "trade {}"),
    ("successorId", "reopened as {}"),
    ("executionId", "execution {}"),
];

/// An entry as a few lines that fit a terminal.
fn lines(row: &AuditRow, names: &Names) -> String {
    let (entry, account) = (&row.entry, names.of(&row.account));
    let told = TOLD.iter().filter_map(|(key, phrase)| {
        let value = entry.data.get(key).filter(|value| !value.is_null())?;
        Some(phrase.replace("{}", &table::bare(value)))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    format!("{}  {account}\n{}\n{told}", entry.timestamp, entry.message)
}
