//! `vigia kill-switch on|off|list`: nothing more is sent, at once, by any process of this store.

use anyhow::{Result, bail};

use super::context::Context;
use super::names::Names;
use super::table;
use crate::domain::ids::AutomationId;
use crate::domain::kill_switch::{KillSwitch, Reach};
use crate::store::Store;

/// What `vigia kill-switch` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct KillSwitchArgs {
    #[command(subcommand)]
    pub(crate) command: KillSwitchCommand,
}

/// Hold everything back, or one account, or one automation
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KillSwitchCommand {
    /// Send nothing more, from now on. What is on its way already is not called back
    On {
        #[command(flatten)]
        of: Of,
        /// Let margin guards and stop-losses go on
        #[arg(long)]
        allow_protective: bool,
        /// Why, for whoever reads it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let it act again: what still has reason to, acts within about a second
    Off {
        #[command(flatten)]
        of: Of,
    },
    /// Those that are on
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Of {
    /// Only this account: its name or id
    #[arg(long, value_name = "ACCOUNT")]
    pub(super) account: Option<String>,
    /// Only this automation
    #[arg(long, value_name = "ID")]
    pub(super) automation: Option<String>,
}

impl Of {
    async fn reach(&self, store: &Store) -> Result<Reach> {
        Ok(match (&self.account, &self.automation) {
            (Some(account), _) => Reach::Account(store.account(account).await?.id),
            (_, Some(automation)) => Reach::Automation(AutomationId::new(automation)),
            (None, None) => Reach::Service,
        })
    }
}

pub(crate) async fn run(
    command: &KillSwitchCommand,
    store: &Store,
    context: &mut Context<'_>,
) -> Result<()> {
    match command {
        KillSwitchCommand::On {
            of,
            allow_protective,
            reason,
        } => {
            let reach = of.reach(store).await?;
            let on = store.kill_switch_on(&reach, *allow_protective, reason.clone(), context.now);
            on.await?;
            tell_on(&reach, *allow_protective, context)?;
        }
        KillSwitchCommand::Off { of } => {
            let reach = of.reach(store).await?;
            if !store.kill_switch_off(&reach, context.now).await? {
                bail!(
                    "no kill switch is on for {reach}: `vigia kill-switch list` shows those that are"
                );
            }
            tell_off(&reach, context)?;
            let left = store.kill_switches().await?.rows;
            if !left.is_empty() {
                writeln!(
                    context.notes,
                    "others are still on: `vigia kill-switch list`"
                )?;
            }
        }
        KillSwitchCommand::List { json } => list(*json, store, context).await?,
    }
    Ok(())
}

pub(super) fn tell_on(
    reach: &Reach,
    allows_protective: bool,
    context: &mut Context<'_>,
) -> Result<()> {
    let but = if allows_protective {
        ", but margin guards and stop-losses"
    } else {
        ""
    };
    Ok(writeln!(
        context.out,
        "the kill switch is on for {reach}{but}"
    )?)
}

pub(super) fn tell_off(reach: &Reach, context: &mut Context<'_>) -> Result<()> {
    Ok(writeln!(context.out, "the kill switch is off for {reach}")?)
}

async fn list(json: bool, store: &Store, context: &mut Context<'_>) -> Result<()> {
    let switches = store.kill_switches().await?;
    context.warn_of(&switches.unreadable)?;
    if json {
        return context.json(&switches.rows);
    }
    if switches.rows.is_empty() {
        writeln!(context.notes, "no kill switch is on")?;
        return Ok(());
    }
    let names = Names::read(store).await?;
    let row = |switch: &KillSwitch| {
        let what = match &switch.reach {
            Reach::Account(id) => format!("account {}", names.of(id)),
            other => other.to_string(),
        };
        vec![
            what,
            table::yes(switch.allows_protective),
            table::time(switch.since),
            switch.reason.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = switches.rows.iter().map(row).collect();
    let headers = ["HELD BACK", "PROTECTS", "SINCE", "REASON"];
    Ok(table::write(context.out, &headers, &rows)?)
}
