//! `vigia run`: the service.

use std::pin::pin;
use std::process::ExitCode;

use anyhow::Result;

use super::output::say;
use super::{Global, outlook};
use crate::admin::Admin;
use crate::app::{Ended, Prepared};

/// What `vigia run` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do everything but send: executions end as `skipped: dry_run`
    #[arg(long)]
    dry_run: bool,
    /// While another process watches these accounts, wait, and take over when it has ended
    #[arg(long)]
    standby: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    super::start_logging(settings.log.format, &settings.log.filter);
    // From here on a signal is a wish to stop, however far the start has come.
    let mut stop = pin!(super::stop_signal()?);
    let preparing = async {
        if args.standby {
            Prepared::standing_by(&settings).await
        } else {
            Prepared::new(&settings).await
        }
    };
    let prepared = tokio::select! {
        prepared = preparing => prepared?,
        () = &mut stop => {
            tracing::info!(event = "service.stopped");
            return Ok(ExitCode::SUCCESS);
        }
    };
    for outlook in outlook::read(&prepared, Some(outlook::BEFORE_THE_START)).await? {
        for line in outlook.lines() {
            say(line)?;
        }
    }
    let mut app = prepared.start(args.dry_run);
    let admin = match settings.admin.listen.as_str() {
        "" => None,
        listen => Some(Admin::start(listen, &settings.data_dir, app.shared.clone()).await?),
    };
    tracing::info!(event = "service.started", dry_run = args.dry_run);
    let ended = tokio::select! {
        () = stop => None,
        ended = app.ended() => Some(ended),
    };
    match &ended {
        None => {}
        Some(Ended::Died(exit)) => {
            tracing::error!(event = "actor.died", actor = "supervisor", cause = %exit.exit);
            return Ok(ExitCode::FAILURE);
        }
        Some(Ended::Lost(lost)) => tracing::error!(
            event = "ownership.lost",
            holder = lost.holder,
            "another process trades; this one ends"
        ),
    }
    tracing::info!(event = "service.stopping");
    drop(admin);
    let left = app.stop().await?;
    if left > 0 {
        tracing::warn!(
            event = "service.stopped",
            left,
            "what was under way is proven at the next start"
        );
    } else {
        tracing::info!(event = "service.stopped");
    }
    Ok(match ended {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}
