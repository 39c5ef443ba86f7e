//! `vigia status --watch`: drawn anew every second, until it is interrupted. It goes on while the
//! service is being restarted, and says so.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::{ask, told};
use crate::admin::{Choice, StatusReport};
use crate::domain::text::plain;

/// Between two drawings.
const PERIOD: Duration = Duration::from_secs(1);
/// To the upper left, and everything below away.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Draws until SIGINT or SIGTERM; on what is no terminal, or as JSON, one line at a time.
pub(super) async fn watch(folder: &Path, choice: &Choice, json: bool) -> Result<ExitCode> {
    let drawn = std::io::stdout().is_terminal() && !json;
    let mut stopped = std::pin::pin!(super::super::ended()?);
    loop {
        let asked = tokio::select! {
            () = &mut stopped => return Ok(ExitCode::SUCCESS),
            asked = ask::ask(folder, choice) => asked,
        };
        let shown = match asked {
            Ok(report) if json => serde_json::to_string(&report)?,
            Ok(report) if drawn => format!("{CLEAR}{}", told(&report, false)?),
            Ok(report) => line(&report),
            Err(error) if json => serde_json::json!({ "error": format!("{error:#}") }).to_string(),
            Err(error) => {
                let clear = if drawn { CLEAR } else { "" };
                format!(
                    "{clear}waiting for the service: {}",
                    plain(&format!("{error:#}"))
                )
            }
        };
        match writeln!(io::stdout().lock(), "{shown}") {
            // Nobody reads it any more, as after `… | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(ExitCode::SUCCESS);
            }
            written => written?,
        }
        tokio::select! {
            () = &mut stopped => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// The report on one line.
fn line(report: &StatusReport) -> String {
    let summary = &report.summary;
    let states = summary.states.iter().filter(|(_, count)| **count > 0);
    let states: Vec<_> = states
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let restarts: u64 = report
        .accounts
        .iter()
        .map(|account| account.connection.restarts)
        .sum();
    format!(
        "pid {}   up {} s   accounts {} ({})   positions {}   levels {}   quarantined {}   unusable {}   connections restarted {restarts}   executions under way {}   jobs {}",
        report.pid,
        report.uptime_s,
        summary.accounts,
        states.join(", "),
        summary.positions,
        summary.levels,
        summary.quarantined,
        summary.unusable + summary.unusable_rows,
        report.in_hand,
        report.queue.state,
    )
}
