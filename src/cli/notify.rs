//! `vigia notify`: whether the receiver outside takes what it is told, and what waits to be told.

use anyhow::{Result, bail};
use serde_json::json;

use super::context::Context;
use super::table;
use crate::app;
use crate::config::Settings;
use crate::domain::notice::{Notice, NoticeKind};
use crate::store::{NoticeState, Store, StoredNotice};

/// How many notices are listed unless more are asked for.
const LIST_LIMIT: u64 = 50;

/// What `vigia notify` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    pub(crate) command: NotifyCommand,
}

/// Tell a receiver outside, or show what waits to be told
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NotifyCommand {
    /// Tell the receiver of `notify.url` that this is a test, and show its answer
    Test,
    /// Notifications that wait to be delivered, the latest first
    List {
        /// Also those that were delivered or given up within the last days
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Tells the receiver that this is a test. Needs no store.
pub(crate) async fn test(settings: &Settings, context: &mut Context<'_>) -> Result<()> {
    let Some(webhook) = app::webhook(settings)? else {
        bail!(
            "no receiver is configured: name one in notify.url, and the file of its secret in \
             notify.secret_file (config/default.toml explains them)"
        );
    };
    let now = context.now;
    let kind = NoticeKind::Test;
    let notice = Notice {
        kind,
        id: format!("{kind}:{}", now.timestamp_millis()),
        account: None,
        at: now,
        data: json!({ "message": "vigia notify test" }),
    };
    let (host, body) = (webhook.host(), notice.body());
    match webhook.post(&notice.id, &body, now.timestamp()).await {
        Ok(answer) if answer.is_taken() => {
            writeln!(context.out, "{host} took {}: {answer}", notice.id)?;
            Ok(())
        }
        Ok(answer) => bail!("{host} did not take {}: {answer}", notice.id),
        Err(error) => bail!("{host} did not answer: {error}"),
    }
}

pub(crate) async fn run(
    command: &NotifyCommand,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> Result<()> {
    match command {
        NotifyCommand::Test => test(settings, context).await,
        NotifyCommand::List { all, limit, json } => {
            let state = (!all).then_some(NoticeState::Waiting);
            let notices = store.notices(state, *limit).await?;
            context.warn_of(&notices.unreadable)?;
            if *json {
                return context.json(&notices.rows);
            }
            list(&notices.rows, settings, store, context).await
        }
    }
}

async fn list(
    notices: &[StoredNotice],
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> Result<()> {
    if settings.notify.url.expose().is_empty() {
        writeln!(
            context.notes,
            "no receiver is configured (notify.url): nothing is written down"
        )?;
    }
    let waiting = store.notices_waiting().await?;
    writeln!(context.notes, "{waiting} wait to be delivered")?;
    if notices.is_empty() {
        return Ok(());
    }
    let row = |notice: &StoredNotice| {
        vec![
            table::time(notice.created_at),
            notice.state.as_str().to_owned(),
            notice.attempts.to_string(),
            notice.id.clone(),
            notice.answer.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = notices.iter().map(row).collect();
    let headers = ["WRITTEN", "STATE", "TRIED", "ID", "ANSWER"];
    Ok(table::write(context.out, &headers, &rows)?)
}
