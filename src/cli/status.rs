//! `vigia status`: how the service is, once.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;

use super::Global;
use super::format::{percent, thousands, usd};
use super::output::say;
use crate::admin::{Access, AccountReport, StatusReport};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What `vigia status` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    let folder = settings.data_dir.display();
    let Some(access) = Access::read(&settings.data_dir) else {
        bail!(
            "no service runs on the data folder {folder}: start one with `vigia run`, or name its folder with --data-dir"
        );
    };
    let report = ask(&access).await.with_context(|| {
        format!(
            "the service of the data folder {folder} does not answer at {}",
            access.address
        )
    })?;
    if args.json {
        say(serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(access: &Access) -> Result<StatusReport> {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .build()?;
    let answer = client
        .get(format!("http://{}/v1/status", access.address))
        .bearer_auth(access.token.expose_secret())
        .send()
        .await?
        .error_for_status()?;
    Ok(answer.json().await?)
}

fn print(report: &StatusReport) -> io::Result<()> {
    let mode = if report.dry_run { ", dry run" } else { "" };
    say(format_args!(
        "vigia {}   pid {}   up {} s{mode}   executions under way: {}",
        report.version, report.pid, report.uptime_s, report.in_hand
    ))?;
    let counts: Vec<_> = report
        .executions
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    say(format_args!("executions   {}", counts.join(", ")))?;
    for account in &report.accounts {
        print_account(account)?;
    }
    Ok(())
}

fn print_account(account: &AccountReport) -> io::Result<()> {
    let age = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms ago"));
    let price = account
        .price
        .map_or("no price".to_owned(), |price| usd(price.usd()));
    say(format_args!(
        "{:<16} {} over {}   price {price} (confirmed {})   book read {}   balance {}",
        account.name,
        account.state,
        account.transport,
        age(account.price_age_ms),
        age(account.book_age_ms),
        account
            .balance
            .map_or("unknown".to_owned(), |sats| thousands(sats.0)),
    ))?;
    for position in &account.positions {
        say(format_args!(
            "    {} {:>5} {:>9} USD   margin {:>12}   leverage {:>6.2}   liquidation {:>10} ({} away)   lost {}",
            position.id,
            position.side.direction(),
            thousands(position.quantity.0),
            thousands(position.margin.0),
            position.leverage,
            usd(position.liquidation.usd()),
            position.distance.map_or("?".to_owned(), percent),
            position.margin_used.map_or("?".to_owned(), percent),
        ))?;
    }
    Ok(())
}
