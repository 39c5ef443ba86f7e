//! `vigia run`: the service.

use std::process::ExitCode;

use anyhow::Result;

use super::Global;
use crate::app::App;

/// What `vigia run` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do everything but send: executions end as `skipped: dry_run`
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    super::start_logging(settings.log.format, &settings.log.filter);
    let mut app = App::start(&settings, args.dry_run).await?;
    let code = tokio::select! {
        signal = super::stop_signal() => signal.map(|()| ExitCode::SUCCESS)?,
        exit = app.ended() => {
            tracing::error!(event = "actor.died", actor = "supervisor", cause = %exit.exit);
            return Ok(ExitCode::FAILURE);
        }
    };
    tracing::info!(event = "service.stopping");
    let left = app.stop().await?;
    if left > 0 {
        tracing::warn!(
            event = "service.stopped",
            left,
            "executions were still under way: they are proven at the next start"
        );
    } else {
        tracing::info!(event = "service.stopped");
    }
    Ok(code)
}
