//! `vigia run`: the service.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::output::say;
use super::{Global, outlook};
use crate::actors::Shared;
use crate::admin::{Admin, Listener, Waiting};
use crate::app::{Ended, Manager, Prepared, Standby};
use crate::config::Settings;

/// How soon a standby that has taken over tries again to listen where its predecessor did.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

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
    let manager = Manager::of_environment();
    manager.starting();
    let mut listener = None;
    let preparing = async {
        if args.standby {
            listener = listen(&settings, true)?;
            stand_by(&settings, listener.as_ref(), &manager).await
        } else {
            let prepared = Prepared::new(&settings).await?;
            match listen(&settings, false) {
                Ok(bound) => {
                    listener = bound;
                    Ok(prepared)
                }
                Err(error) => {
                    prepared.close().await;
                    Err(error)
                }
            }
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
    let admin = match &listener {
        Some(listener) => Some(Admin::start(
            listener,
            &settings.admin,
            &settings.data_dir,
            app.shared.clone(),
        )?),
        None => None,
    };
    tracing::info!(event = "service.started", dry_run = args.dry_run);
    let shared = Arc::clone(&app.shared);
    let ended = tokio::select! {
        () = stop => None,
        ended = app.ended() => Some(ended),
        never = manager.while_serving(&shared) => match never {},
        never = answer_later(&settings, &shared, admin.is_none()) => match never {},
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
    let left = tokio::select! {
        left = app.stop() => left?,
        never = manager.while_stopping() => match never {},
    };
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

/// Waits for its turn, and answers meanwhile that it does.
async fn stand_by(
    settings: &Settings,
    listener: Option<&Listener>,
    manager: &Manager,
) -> Result<Prepared> {
    let standby = Standby::new(settings);
    let mut waiting = match listener {
        Some(listener) => Some(Waiting::start(listener, standby.progress.clone())?),
        None => None,
    };
    let telling = async {
        standby.has_folder().await;
        if let Some(waiting) = &mut waiting
            && let Err(error) = waiting.tell(&settings.data_dir)
        {
            tracing::warn!(event = "admin.untold", %error, "vigia health does not find this process");
        }
        pending().await
    };
    tokio::select! {
        prepared = Prepared::standing_by(settings, &standby) => prepared,
        never = manager.while_standing_by(&standby) => match never {},
        () = telling => pending().await,
    }
}

/// Listens where the settings say, if anywhere. On one machine a standby finds the port taken by the
/// process that it waits for.
fn listen(settings: &Settings, standby: bool) -> Result<Option<Listener>> {
    let listen = settings.admin.listen.as_str();
    if listen.is_empty() {
        return Ok(None);
    }
    match Listener::bind(listen) {
        Err(error) if standby => {
            let error = format!("{error:#}");
            tracing::warn!(event = "admin.taken", error, "tried again at the takeover");
            Ok(None)
        }
        bound => bound.map(Some),
    }
}

/// Listens as soon as it can, where it could not before; then answers for as long as it is polled.
async fn answer_later(settings: &Settings, shared: &Arc<Shared>, wanted: bool) -> Infallible {
    if !wanted || settings.admin.listen.is_empty() {
        return pending().await;
    }
    let listener = loop {
        match Listener::bind(&settings.admin.listen) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
        }
    };
    let (admin, folder) = (&settings.admin, &settings.data_dir);
    match Admin::start(&listener, admin, folder, Arc::clone(shared)) {
        Ok(_admin) => pending().await,
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(event = "admin.untold", error);
            pending().await
        }
    }
}
