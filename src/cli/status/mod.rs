//! `vigia status`: how the service is, once or from second to second.

mod account;
mod ask;
mod branch;
mod tree;
mod watch;

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::Global;
use super::output::say;
use crate::admin::{Choice, StatusReport};

/// What `vigia status` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
    /// Draw it anew every second, until it is interrupted
    #[arg(long)]
    watch: bool,
    /// All accounts, however many there are
    #[arg(long, conflicts_with = "account")]
    all: bool,
    /// One account, by name or id
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl Args {
    fn choice(&self) -> Choice {
        Choice {
            all: self.all || (self.json && self.account.is_none()),
            account: self.account.clone(),
        }
    }
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    let folder = &settings.data_dir;
    let choice = args.choice();
    if args.watch {
        return watch::watch(folder, &choice, args.json).await;
    }
    let report = ask::ask(folder, &choice).await?;
    if let (Some(name), true) = (&choice.account, report.accounts.is_empty()) {
        bail!("the service serves no account `{name}`: see `vigia account list`");
    }
    say(told(&report, args.json)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The report as it is printed.
fn told(report: &StatusReport, json: bool) -> Result<String> {
    if json {
        return Ok(serde_json::to_string_pretty(report)?);
    }
    Ok(tree::lines(report).join("\n"))
}
