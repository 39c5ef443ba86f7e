//! `vigia audit`: the permanent record of executed actions.

use clap::{Args, Subcommand};

use super::context::Context;
use super::names::Names;
use super::table;
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
        return context.json(&entries.rows);
    }
    if entries.rows.is_empty() {
        writeln!(context.notes, "there are no such audit entries")?;
        return Ok(());
    }
    let names = Names::read(journal.store()).await?;
    let row = |row: &AuditRow| {
        vec![
            row.seq.to_string(),
            row.entry.timestamp.clone(),
            names.of(&row.account),
            row.entry.message.clone(),
            row.execution.to_string(),
        ]
    };
    let rows: Vec<_> = entries.rows.iter().map(row).collect();
    let headers = ["SEQ", "TIME", "ACCOUNT", "MESSAGE", "EXECUTION"];
    Ok(table::write(context.out, &headers, &rows)?)
}
