//! `vigia account`: the accounts that are watched.

mod rotate;
mod show;
pub(super) mod told;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::context::Context;
use super::credentials::CredentialArgs;
use super::{protection, table};
use crate::admin::{AccountAnswer, OPERATOR};
use crate::config::Settings;
use crate::domain::ids::{AccountId, UserId};
use crate::store::{Account, NewAccount, Store};
use told::Verb;

/// Add, list and show accounts; let them be traded or not; change their keys; remove them
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
    /// Decide and send nothing for an account until it is resumed; its connection goes on
    Pause {
        /// The account's name or id
        account: String,
        /// Why, for whoever reads it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a paused account go on
    Resume {
        /// The account's name or id
        account: String,
    },
    /// Restart an account's connection in the running service, without a gap
    Restart {
        /// The account's name or id
        account: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give an account another API key; the exchange must accept it before it replaces the old one
    Credentials(RotateArgs),
    /// Remove an account, its key and its automations; what it did stays recorded, and nothing
    /// changes at the exchange
    Remove {
        /// The account's name or id
        account: String,
        /// Although it has positions, which stay as they are and are watched no longer
        #[arg(long)]
        force: bool,
    },
}

/// Another API key for an account.
#[derive(Args, Debug)]
pub struct RotateArgs {
    /// The account's name or id
    pub account: String,
    /// Where the new credentials come from.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Store them although the exchange cannot be asked whether it accepts them
    #[arg(long)]
    pub unverified: bool,
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

/// Carries out `vigia account …` where no service runs, or that only looks.
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
            show::run(account, *json, settings, store, context).await
        }
        AccountCommand::Enable { account } => set_active(account, true, store, context).await,
        AccountCommand::Disable { account } => set_active(account, false, store, context).await,
        AccountCommand::Pause { account, reason } => {
            let id = store.account(account).await?.id;
            let pausing = store.pause_account(&id, reason.clone(), OPERATOR, context.now);
            let changed = pausing.await?;
            stored(Verb::Pause, id, changed, store, context).await
        }
        AccountCommand::Resume { account } => {
            let id = store.account(account).await?.id;
            let changed = store.resume_account(&id, context.now).await?;
            stored(Verb::Resume, id, changed, store, context).await
        }
        AccountCommand::Restart { .. } => bail!(
            "no service runs on the data folder {}: there is nothing to restart, `vigia run` starts it",
            settings.data_dir.display()
        ),
        AccountCommand::Credentials(args) => rotate::run(args, settings, store, context).await,
        AccountCommand::Remove { account, .. } => {
            let account = store.account(account).await?;
            store.remove_account(&account.id).await?;
            let answer = AccountAnswer {
                account,
                changed: true,
                in_effect: false,
            };
            told::done(Verb::Remove, &answer, false, context)
        }
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
    told::added(&account, args.json, context)
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
            state(account),
            account.user_id.to_string(),
            account.id.to_string(),
            table::time(account.created_at),
        ]
    };
    let rows: Vec<_> = accounts.rows.iter().map(row).collect();
    let headers = ["NAME", "NETWORK", "ENABLED", "USER", "ID", "ADDED"];
    Ok(table::write(context.out, &headers, &rows)?)
}

/// Whether it is watched, in one word for a table.
fn state(account: &Account) -> String {
    match &account.paused {
        Some(_) if account.is_active => "paused".to_owned(),
        _ => table::yes(account.is_active),
    }
}

async fn set_active(
    account: &str,
    active: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let before = store.account(account).await?;
    let id = before.id.as_str();
    store.set_account_active(id, active, context.now).await?;
    let verb = if active { Verb::Enable } else { Verb::Disable };
    let changed = before.is_active != active;
    stored(verb, before.id, changed, store, context).await
}

/// Says what a verb came to, as it is now stored.
async fn stored(
    verb: Verb,
    id: AccountId,
    changed: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let answer = AccountAnswer {
        account: store.account(id.as_str()).await?,
        changed,
        in_effect: false,
    };
    told::done(verb, &answer, false, context)
}
