//! `vigia import`: takes accounts and automations over from the Node application's database.

mod plan;
mod secrets;
mod source;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::context::Context;
use super::table;
use crate::app;
use crate::config::Settings;
use crate::store::{Store, StoreError};
use plan::{Fate, Here, Line, Plan};

/// Take accounts and automations over from the Node application's PostgreSQL
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// Its database: postgres://USER:PASSWORD@HOST/DATABASE, with ?schema=NAME if not public
    #[arg(
        long,
        value_name = "URL",
        env = "VIGIA_IMPORT_FROM",
        hide_env_values = true
    )]
    pub from: String,
    /// The network of the exchange that its accounts are on, as the configuration names it
    #[arg(long, default_value = "mainnet")]
    pub network: String,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out `vigia import`.
///
/// # Errors
/// A database that cannot be read or written; a row that cannot be carried over is none.
pub async fn run(
    args: &ImportArgs,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> Result<()> {
    let plan = planned(args, settings, Some(store)).await?;
    let Plan {
        lines,
        accounts,
        automations,
    } = plan;
    let kept = store.keep(accounts, automations, context.now).await;
    kept.context("nothing was added: run it again")?;
    report(args, &lines, context)
}

/// Carries out `vigia import --dry-run`, which makes no database either.
///
/// # Errors
/// As [`run`].
pub async fn preview(
    args: &ImportArgs,
    settings: &Settings,
    context: &mut Context<'_>,
) -> Result<()> {
    let url = settings.database_url();
    let store = if Store::exists(&url)? {
        // Without a key, stored credentials are not compared.
        Some(Store::open(&url, app::open_vault(settings).ok()).await?)
    } else {
        None
    };
    let plan = planned(args, settings, store.as_ref()).await;
    if let Some(store) = store {
        store.close().await;
    }
    report(args, &plan?.lines, context)
}

async fn planned(args: &ImportArgs, settings: &Settings, store: Option<&Store>) -> Result<Plan> {
    if !settings.networks.contains_key(&args.network) {
        let known: Vec<_> = settings.networks.keys().map(String::as_str).collect();
        let network = &args.network;
        bail!(
            "network `{network}` is not configured; known are {}",
            known.join(", ")
        );
    }
    let source = source::read(&args.from).await?;
    let here = match store {
        None => Here::default(),
        Some(store) => here(store).await?,
    };
    Ok(plan::plan(&source, &here, &args.network))
}

async fn here(store: &Store) -> Result<Here> {
    let mut here = Here::default();
    let accounts = match store.accounts().await {
        // Not even tables: nothing stands here.
        Err(StoreError::NotMigrated(_)) => return Ok(here),
        accounts => accounts?,
    };
    let automations = store.automations(None).await?;
    for account in &accounts.rows {
        if let Ok(credentials) = store.credentials(&account.id).await {
            here.credentials.insert(account.id.clone(), credentials);
        }
    }
    let unreadable = accounts
        .unreadable
        .into_iter()
        .chain(automations.unreadable);
    here.unreadable = unreadable
        .filter_map(|error| match error {
            StoreError::Corrupt { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    here.accounts = accounts.rows;
    here.automations = automations.rows;
    Ok(here)
}

fn report(args: &ImportArgs, lines: &[Line], context: &mut Context<'_>) -> Result<()> {
    let count = |what: &str, fate| {
        let of = |line: &&Line| (what.is_empty() || line.what == what) && line.fate == fate;
        lines.iter().filter(of).count()
    };
    if args.json {
        return context.json(&json!({
            "dryRun": args.dry_run,
            "accountsAdded": count("account", Fate::Added),
            "automationsAdded": count("automation", Fate::Added),
            "unchanged": count("", Fate::Unchanged),
            "differing": count("", Fate::Differs),
            "leftOut": count("", Fate::LeftOut),
            "rows": lines,
        }));
    }
    let row = |line: &Line| {
        vec![
            line.what.to_owned(),
            line.id.clone(),
            line.name.clone(),
            told(line.fate, args.dry_run).to_owned(),
            table::or_dash(line.reason.as_ref()),
        ]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    let headers = ["ROW", "ID", "NAME OR TYPE", "RESULT", "REASON"];
    table::write(context.out, &headers, &rows)?;
    writeln!(
        context.notes,
        "{} accounts and {} automations {}, {} unchanged, {} differing, {} left out",
        count("account", Fate::Added),
        count("automation", Fate::Added),
        told(Fate::Added, args.dry_run),
        count("", Fate::Unchanged),
        count("", Fate::Differs),
        count("", Fate::LeftOut),
    )?;
    if count("automation", Fate::Added) > 0 {
        let note = "what is taken over acts by job only, as it did";
        writeln!(context.notes, "{note}")?;
    }
    Ok(())
}

fn told(fate: Fate, dry_run: bool) -> &'static str {
    match fate {
        Fate::Added if dry_run => "would be added",
        Fate::Added => "added",
        Fate::Unchanged => "unchanged",
        Fate::Differs => "differs",
        Fate::LeftOut => "left out",
    }
}
