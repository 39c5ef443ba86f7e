//! `vigia migrate`: brings the database's tables to this version.

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::context::Context;
use crate::store::Store;

/// Bring the database's tables to this version
#[derive(Args, Debug)]
pub struct MigrateArgs {
    /// Only say what is to be done; exit 1 if anything is
    #[arg(long, conflicts_with = "rollback")]
    pub check: bool,
    /// Take back so many steps, with everything that is stored in their tables
    #[arg(long, value_name = "STEPS", requires = "yes")]
    pub rollback: Option<u32>,
    /// Yes, delete what is stored in the tables that are taken back
    #[arg(long)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out `vigia migrate`. The data folder must be locked by the caller: a service that runs
/// would lose its tables.
///
/// # Errors
/// What went wrong, and what to do next; with `--check`, that something is to be done.
pub async fn run(
    args: &MigrateArgs,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let (what, steps) = if args.check {
        ("pending", store.pending_migrations().await?)
    } else if let Some(steps) = args.rollback {
        ("rolled back", store.rollback(steps).await?.steps)
    } else {
        ("made", store.migrate().await?.steps)
    };
    if args.json {
        context.json(&json!({"status": what, "steps": steps}))?;
    } else if steps.is_empty() {
        writeln!(context.out, "nothing to do")?;
    } else {
        for step in &steps {
            writeln!(context.out, "{what}: {step}")?;
        }
    }
    if args.check && !steps.is_empty() {
        bail!("{} steps are to be made: run `vigia migrate`", steps.len());
    }
    Ok(())
}
