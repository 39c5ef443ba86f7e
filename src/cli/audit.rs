//! `vigia audit`: the permanent record of executed actions.

use std::path::Path;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::names::Names;
use super::table;
use crate::domain::audit::Entry;
use crate::domain::ids::AutomationId;
use crate::journal::{AuditFilter, AuditRow, Journal, LIST_LIMIT, Link};

/// How many entries are read before that is told.
const TOLD_EVERY: u64 = 100_000;

/// Read the audit log, and prove that it is whole
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
    /// Prove that no entry was changed, taken out, put in, reordered or cut off
    Verify(VerifyArgs),
    /// Write all entries, the oldest first, one line of JSON each
    Export,
}

/// What the log is held against.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// A head as an earlier verification or a log line `audit.head` has it; beside the one noted in the
    /// data folder
    #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
    pub head: Vec<Link>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn head(text: &str) -> Result<Link, &'static str> {
    text.parse()
}

impl AuditArgs {
    /// Whether it is to compute hashes.
    pub fn needs_the_key(&self) -> bool {
        matches!(self.command, AuditCommand::Verify(_))
    }
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
    data_dir: &Path,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match command {
        AuditCommand::List(args) => list(args, journal, context).await,
        AuditCommand::Verify(args) => verify(args, journal, data_dir, context).await,
        AuditCommand::Export => export(journal, context).await,
    }
}

async fn verify(
    args: &VerifyArgs,
    journal: &Journal,
    data_dir: &Path,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let mut told = 0;
    let notes = &mut context.notes;
    let found = journal
        .verify_audit(data_dir, &args.head, |read| {
            if read >= told + TOLD_EVERY {
                told = read;
                // Nothing depends on who reads it.
                let _ = writeln!(notes, "{read} entries read");
            }
        })
        .await?;
    if args.json {
        context.json(&found)?;
    } else {
        for flaw in &found.flaws {
            writeln!(context.out, "{flaw}")?;
        }
        if found.more > 0 {
            writeln!(context.out, "and {} more like these", found.more)?;
        }
        if found.unhashed > 0 {
            let count = found.unhashed;
            writeln!(
                context.notes,
                "{count} entries are older than the chain: nothing proves them"
            )?;
        }
        if let (true, Some(head)) = (found.is_whole(), &found.head) {
            let count = found.entries;
            writeln!(
                context.out,
                "the audit log is whole: {count} entries, head {head}"
            )?;
        } else if found.is_whole() {
            writeln!(
                context.out,
                "there are no audit entries, and none are missing"
            )?;
        }
    }
    if !found.is_whole() {
        bail!(
            "the audit log is not what was written: keep a copy of the database and of {}, and see \
             docs/operating.md, \"The audit log\"",
            data_dir.display()
        );
    }
    Ok(())
}

async fn export(journal: &Journal, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut after = i64::MIN;
    loop {
        let page = journal.audit_page(after).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.seq;
        for entry in &page {
            serde_json::to_writer(&mut context.out, entry)?;
            writeln!(context.out)?;
        }
    }
}

async fn list(args: &ListArgs, journal: &Journal, context: &mut Context<'_>) -> anyhow::Result<()> {
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
