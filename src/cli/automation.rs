//! `vigia automation`: the rules of accounts.

use clap::{Args, Subcommand};

use super::context::Context;
use super::names::Names;
use super::rule_check::{self, CheckArgs, CheckCommand};
use super::service::Service;
use super::{by_service, own, rule_text, table};
use crate::config::Settings;
use crate::domain::ids::AutomationId;
use crate::store::{Automation, NewAutomation, Store};

/// Add, list, show, check, enable, disable or remove automations
#[derive(Args, Debug)]
pub struct AutomationArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AutomationCommand,
}

impl AutomationArgs {
    /// Whether it looks at an account's positions.
    pub(super) fn reads_the_exchange(&self) -> bool {
        match &self.command {
            AutomationCommand::Add(args) => !args.offline,
            AutomationCommand::Check(args) => args.account.is_some(),
            _ => false,
        }
    }
}

/// What can be done with automations.
#[derive(Debug, Subcommand)]
pub enum AutomationCommand {
    /// Add an automation to an account, after showing what it would do
    Add(AddArgs),
    /// Show what an automation would do, without adding it
    Check(CheckCommand),
    /// List the automations of all accounts, or of one
    List {
        /// The account's name or id
        #[arg(long)]
        account: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one automation
    Show {
        /// The automation's id
        automation: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an automation act
    Enable {
        /// The automation's id
        automation: String,
    },
    /// Let an automation act no longer
    Disable {
        /// The automation's id
        automation: String,
    },
    /// Remove an automation; what it did stays recorded
    Remove {
        /// The automation's id
        automation: String,
    },
}

/// An automation to be added.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// The account's name or id
    #[arg(long)]
    pub account: String,
    /// The rule.
    #[command(flatten)]
    pub check: CheckArgs,
    /// Let it act only when a job asks, not by itself
    #[arg(long)]
    pub job_only: bool,
    /// Add it disabled
    #[arg(long)]
    pub disabled: bool,
    /// Do not read the account's positions from the exchange
    #[arg(long)]
    pub offline: bool,
}

/// Carries out `vigia automation …`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    command: &AutomationCommand,
    settings: &Settings,
    store: &Store,
    service: Option<&Service>,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match command {
        AutomationCommand::Add(args) => add(args, settings, store, service, context).await,
        AutomationCommand::Check(CheckCommand { check, account }) => match account {
            None => rule_check::check(check, context),
            Some(account) => rule_check::check_for(check, account, settings, store, context).await,
        },
        AutomationCommand::List { account, json } => {
            list(account.as_deref(), *json, store, context).await
        }
        AutomationCommand::Show { automation, json } => {
            let found = store.automation(&AutomationId::new(automation)).await?;
            show(&found, *json, store, context).await
        }
        AutomationCommand::Enable { automation } => {
            set_active(automation, true, store, context).await
        }
        AutomationCommand::Disable { automation } => {
            set_active(automation, false, store, context).await
        }
        AutomationCommand::Remove { automation } => {
            let id = AutomationId::new(automation);
            store.remove_automation(&id).await?;
            tell_removed(&id, context)
        }
    }
}

async fn add(
    args: &AddArgs,
    settings: &Settings,
    store: &Store,
    service: Option<&Service>,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let config = args.check.rule.read()?;
    let rule = rule_check::understood(&args.check, &config, context)?;
    let account = store.account(&args.account).await?;
    let own = if args.offline {
        None
    } else {
        Some(own::read(settings, store, &account).await)
    };
    let own = own.as_ref().map(|own| (account.name.as_str(), own));
    let new = NewAutomation {
        account: account.id.clone(),
        kind: args.check.kind,
        config,
        live: !args.job_only,
        active: !args.disabled,
    };
    let added = match service {
        Some(service) => by_service::add_automation(service, &new).await?,
        None => store.add_automation(new, context.now).await?,
    };
    if args.check.json {
        let mut report = rule_check::report(&rule, args.check.price, own);
        report["automation"] = serde_json::to_value(&added)?;
        return context.json(&report);
    }
    rule_check::explain(&rule, args.check.price, own, context)?;
    let state = if added.is_active {
        "enabled"
    } else {
        "disabled"
    };
    writeln!(
        context.out,
        "\nautomation {} added to account {}, {state}",
        added.id, account.name
    )?;
    Ok(())
}

async fn list(
    account: Option<&str>,
    json: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let account = match account {
        Some(account) => Some(store.account(account).await?.id),
        None => None,
    };
    let automations = store.automations(account.as_ref()).await?;
    context.warn_of(&automations.unreadable)?;
    if json {
        return context.json(&automations.rows);
    }
    if automations.rows.is_empty() {
        writeln!(
            context.notes,
            "there are no automations: `vigia automation add --account NAME …` adds one"
        )?;
        return Ok(());
    }
    let names = Names::read(store).await?;
    let row = |automation: &Automation| {
        vec![
            automation.id.to_string(),
            names.of(&automation.account_id),
            automation.kind.to_string(),
            table::yes(automation.is_active),
            table::yes(automation.live),
            one_line(automation),
        ]
    };
    let rows: Vec<_> = automations.rows.iter().map(row).collect();
    let headers = ["ID", "ACCOUNT", "TYPE", "ENABLED", "LIVE", "RULE"];
    Ok(table::write(context.out, &headers, &rows)?)
}

fn one_line(automation: &Automation) -> String {
    match automation.rule() {
        Ok(rule) => rule_text::summary(&rule),
        Err(errors) => {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            format!("cannot be obeyed: {}", errors.join("; "))
        }
    }
}

async fn show(
    automation: &Automation,
    json: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if json {
        return context.json(automation);
    }
    let names = Names::read(store).await?;
    let pairs = [
        ("id", automation.id.to_string()),
        ("account", names.of(&automation.account_id)),
        ("type", automation.kind.to_string()),
        ("rule", one_line(automation)),
        ("config", automation.config.to_string()),
        ("enabled", table::yes(automation.is_active)),
        ("live", table::yes(automation.live)),
        ("rule version", automation.rule_version.to_string()),
        ("added", table::time(automation.created_at)),
        ("changed", table::time(automation.updated_at)),
    ];
    Ok(table::write_pairs(context.out, &pairs)?)
}

async fn set_active(
    automation: &str,
    active: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let id = AutomationId::new(automation);
    store
        .set_automation_active(&id, active, context.now)
        .await?;
    tell_active(&id, active, context)
}

pub(super) fn tell_active(
    id: &AutomationId,
    active: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let now = if active { "enabled" } else { "disabled" };
    Ok(writeln!(context.out, "automation {id} is {now}")?)
}

pub(super) fn tell_removed(id: &AutomationId, context: &mut Context<'_>) -> anyhow::Result<()> {
    Ok(writeln!(context.out, "automation {id} is removed")?)
}
