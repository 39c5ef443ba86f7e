//! `vigia status`: how the service is, once.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;

use super::Global;
use super::format::{percent, thousands, usd};
use super::output::say;
use crate::admin::{Access, AccountReport, QueueReport, StatusReport};

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
    say(jobs(&report.queue))?;
    for switch in &report.kill_switches {
        let but = if switch.allows_protective {
            ", but margin guards and stop-losses"
        } else {
            ""
        };
        let why = switch.reason.as_deref().unwrap_or("no reason given");
        say(format_args!(
            "KILL SWITCH  on for {}{but}, since {}: {why}",
            switch.reach,
            super::table::time(switch.since)
        ))?;
    }
    for account in &report.accounts {
        print_account(account)?;
    }
    Ok(())
}

/// `jobs   from redis: connected, 3 in hand`, or what is wrong.
fn jobs(queue: &QueueReport) -> String {
    let mut told = format!("jobs         from {}: {}", queue.backend, queue.state);
    if let (Some(cause), Some(lost_ms)) = (&queue.cause, queue.lost_ms) {
        told += &format!(" for {} s, live rules go on: {cause}", lost_ms / 1000);
    }
    if queue.paused {
        told += ", paused by somebody: none are handed out";
    }
    told += &format!(", {} in hand", queue.in_hand);
    if queue.resumptions > 0 {
        told += &format!(", resumed {} times", queue.resumptions);
    }
    told
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_on_one_line_with_what_is_wrong() {
        let mut queue = QueueReport {
            backend: "redis".to_owned(),
            state: "connected".to_owned(),
            cause: None,
            lost_ms: None,
            paused: false,
            in_hand: 3,
            resumptions: 0,
        };
        assert_eq!(
            jobs(&queue),
            "jobs         from redis: connected, 3 in hand"
        );
        queue.paused = true;
        assert!(jobs(&queue).contains("connected, paused by somebody"));
        queue.paused = false;
        queue.state = "lost".to_owned();
        queue.cause = Some("Connection refused (os error 111)".to_owned());
        (queue.lost_ms, queue.resumptions) = (Some(12_345), 2);
        assert_eq!(
            jobs(&queue),
            "jobs         from redis: lost for 12 s, live rules go on: Connection refused \
             (os error 111), 3 in hand, resumed 2 times"
        );
    }
}
