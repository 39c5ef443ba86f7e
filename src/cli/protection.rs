//! `vigia account limits`: what may be done for an account on one day, and after how many failures it
//! is paused.

use std::str::FromStr;

use anyhow::Result;
use serde_json::json;

use super::context::Context;
use super::format::thousands;
use super::table;
use crate::config::Settings;
use crate::domain::protection::{Own, OwnProtections};
use crate::domain::units::Sats;
use crate::journal::Journal;
use crate::store::{Epoch, Store};

/// Show or change what may be done for an account on one day (UTC)
#[derive(Debug, clap::Args)]
pub struct LimitsArgs {
    /// The account's name or id
    pub account: String,
    /// Executions sent on one day: a number, `off`, or `default` for what is configured
    #[arg(long, value_name = "N")]
    pub executions_per_day: Option<Limit>,
    /// Satoshis added to margin on one day: a number, `off`, or `default`
    #[arg(long, value_name = "N")]
    pub sats_per_day: Option<Limit>,
    /// Failures in a row that pause the account: a number, `off`, or `default`
    #[arg(long, value_name = "N")]
    pub failures_in_a_row: Option<Limit>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A limit as it is typed.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Own<u32>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self(Own::Default)),
            "off" => Ok(Self(Own::Off)),
            _ => match text.parse() {
                Ok(most) if most > 0 => Ok(Self(Own::Most(most))),
                _ => Err(format!(
                    "a number from 1 to {}, `off`, or `default` for what is configured",
                    u32::MAX
                )),
            },
        }
    }
}

/// Carries out `vigia account limits`.
///
/// # Errors
/// What went wrong, and what to do next.
pub async fn run(
    args: &LimitsArgs,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> Result<()> {
    let account = store.account(&args.account).await?;
    let own = store.protections(&account.id).await?;
    let asked = changed(own, args);
    if asked != own {
        store.protect(&account.id, asked).await?;
    }
    let journal = Journal::new(store.clone(), Epoch::NONE).protecting(settings.protections());
    let holds = journal.protections(&account.id).await?;
    let today = journal.today(&account.id, context.now).await?;
    if args.json {
        return context.json(&json!({
            "account": account.name, "own": asked, "holds": holds, "today": today,
        }));
    }
    let of = |most: Option<String>, own: bool| {
        let whose = if own { "its own" } else { "as configured" };
        let most = most.unwrap_or_else(|| "no limit".to_owned());
        format!("{most} ({whose})")
    };
    let pairs = [
        ("account", account.name.clone()),
        (
            "executions per day",
            of(
                holds.executions_per_day.map(|most| most.to_string()),
                asked.executions_per_day != Own::Default,
            ),
        ),
        ("  today", today.executions.to_string()),
        (
            "sats added per day",
            of(
                holds.sats_per_day.map(|sats| thousands(sats.0)),
                asked.sats_per_day != Own::Default,
            ),
        ),
        ("  today", thousands(today.added.0)),
        (
            "paused after failures",
            of(
                holds.failures_in_a_row.map(|most| most.to_string()),
                asked.failures_in_a_row != Own::Default,
            ),
        ),
    ];
    table::write_pairs(context.out, &pairs)?;
    if asked != own {
        writeln!(
            context.notes,
            "this holds from now on, in a running service too"
        )?;
    }
    Ok(())
}

fn changed(own: OwnProtections, args: &LimitsArgs) -> OwnProtections {
    let count = |asked: Option<Limit>, own: Own<u32>| asked.map_or(own, |Limit(asked)| asked);
    let sats = args.sats_per_day.map(|Limit(asked)| match asked {
        Own::Default => Own::Default,
        Own::Off => Own::Off,
        Own::Most(most) => Own::Most(Sats(most.into())),
    });
    OwnProtections {
        executions_per_day: count(args.executions_per_day, own.executions_per_day),
        sats_per_day: sats.unwrap_or(own.sats_per_day),
        failures_in_a_row: count(args.failures_in_a_row, own.failures_in_a_row),
    }
}
