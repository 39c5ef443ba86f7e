//! `vigia account`: the accounts that are watched.

use anyhow::bail;
use clap::{Args, Subcommand};

use super::context::Context;
use super::credentials::CredentialArgs;
use super::{protection, table};
use crate::config::Settings;
use crate::domain::ids::UserId;
use crate::store::{Account, NewAccount, Store};

/// Add, list, show, enable or disable accounts
#[derive(Args, Debug)]
pub struct AccountArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AccountCommand,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account; its API key, secret and passphrase are asked for
    Add(AddArgs),
    /// List all accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one account
    Show {
        /// The account's name or id
        account: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an account be traded
    Enable {
        /// The account's name or id
        account: String,
    },
    /// Show or change what may be done for an account on one day, and when it is paused
    Limits(protection::LimitsArgs),
    /// Watch an account no longer, and send nothing for it
    Disable {
        /// The account's name or id
        account: String,
    },
}

/// An account to be added.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// A name that no other account has
    pub name: String,
    /// The network of the exchange that it is on, as the configuration names it
    #[arg(long, default_value = "mainnet")]
    pub network: String,
    /// The owner of the account
    #[arg(long, value_name = "USER", default_value = "local")]
    pub user: String,
    /// Where its credentials come from.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out `vigia account …`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    command: &AccountCommand,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match command {
        AccountCommand::Add(args) => add(args, settings, store, context).await,
        AccountCommand::Limits(args) => protection::run(args, settings, store, context).await,
        AccountCommand::List { json } => list(*json, store, context).await,
        AccountCommand::Show { account, json } => {
            let account = store.account(account).await?;
            show(&account, *json, context)
        }
        AccountCommand::Enable { account } => set_active(account, true, store, context).await,
        AccountCommand::Disable { account } => set_active(account, false, store, context).await,
    }
}

async fn add(
    args: &AddArgs,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if !settings.networks.contains_key(&args.network) {
        let networks: Vec<_> = settings.networks.keys().map(String::as_str).collect();
        bail!(
            "network `{}` is not configured; known are {}",
            args.network,
            networks.join(", ")
        );
    }
    let new = NewAccount {
        user_id: UserId::new(&args.user),
        name: args.name.clone(),
        network: args.network.clone(),
        credentials: args.credentials.read(context.prompt)?,
    };
    let account = store.add_account(new, context.now).await?;
    if args.json {
        return context.json(&account);
    }
    writeln!(
        context.out,
        "account {} added, id {}",
        account.name, account.id
    )?;
    writeln!(
        context.notes,
        "next: `vigia automation add --account {} --type margin_guard --rule …`",
        account.name
    )?;
    Ok(())
}

async fn list(json: bool, store: &Store, context: &mut Context<'_>) -> anyhow::Result<()> {
    let accounts = store.accounts().await?;
    context.warn_of(&accounts.unreadable)?;
    if json {
        return context.json(&accounts.rows);
    }
    if accounts.rows.is_empty() {
        writeln!(
            context.notes,
            "there are no accounts: `vigia account add NAME` adds one"
        )?;
        return Ok(());
    }
    let row = |account: &Account| {
        vec![
            account.name.clone(),
            account.network.clone(),
            table::yes(account.is_active),
            account.user_id.to_string(),
            account.id.to_string(),
            table::time(account.created_at),
        ]
    };
    let rows: Vec<_> = accounts.rows.iter().map(row).collect();
    let headers = ["NAME", "NETWORK", "ENABLED", "USER", "ID", "ADDED"];
    Ok(table::write(context.out, &headers, &rows)?)
}

fn show(account: &Account, json: bool, context: &mut Context<'_>) -> anyhow::Result<()> {
    if json {
        return context.json(account);
    }
    let pairs = [
        ("name", account.name.clone()),
        ("id", account.id.to_string()),
        ("network", account.network.clone()),
        ("enabled", table::yes(account.is_active)),
        ("user", account.user_id.to_string()),
        ("added", table::time(account.created_at)),
        ("changed", table::time(account.updated_at)),
    ];
    Ok(table::write_pairs(context.out, &pairs)?)
}

async fn set_active(
    account: &str,
    active: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let account = store
        .set_account_active(account, active, context.now)
        .await?;
    let now = if active { "enabled" } else { "disabled" };
    Ok(writeln!(context.out, "account {} is {now}", account.name)?)
}
