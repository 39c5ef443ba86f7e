//! `vigia account show`: one account, as it is stored; what of its limits is used, and what waits to be
//! told of it.

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::format::thousands;
use crate::cli::table;
use crate::config::Settings;
use crate::journal::{Journal, Usage};
use crate::store::{Account, Epoch, Pause, Store};

/// An account, as `--json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    account: &'a Account,
    protections: &'a Usage,
    #[serde(rename = "notificationsWaiting")]
    notifications_waiting: u64,
}

/// Carries it out.
pub(super) async fn run(
    account: &str,
    json: bool,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let account = &store.account(account).await?;
    let journal = Journal::new(store.clone(), Epoch::NONE).protecting(settings.protections());
    let ids = [account.id.clone()];
    let usage = journal.usage(&ids, context.now).await?.remove(&account.id);
    let usage = &usage.ok_or_else(|| anyhow::anyhow!("the store has lost the account"))?;
    let notifications_waiting = store.notices_waiting_of(&account.id).await?;
    if json {
        return context.json(&Shown {
            account,
            protections: usage,
            notifications_waiting,
        });
    }
    let of = |used: String, most: Option<String>| match most {
        Some(most) => format!("{used} of {most}"),
        None => format!("{used}, no limit"),
    };
    let (today, holds) = (&usage.today, &usage.holds);
    let executions = holds.executions_per_day.map(|most| most.to_string());
    let sats = holds.sats_per_day.map(|most| thousands(most.0));
    let failures = holds.failures_in_a_row.map(|most| most.to_string());
    let pairs = [
        ("name", account.name.clone()),
        ("id", account.id.to_string()),
        ("network", account.network.clone()),
        ("enabled", table::yes(account.is_active)),
        (
            "paused",
            account.paused.as_ref().map_or("no".to_owned(), paused),
        ),
        ("user", account.user_id.to_string()),
        ("added", table::time(account.created_at)),
        ("changed", table::time(account.updated_at)),
        (
            "executions today",
            of(today.executions.to_string(), executions),
        ),
        ("sats added today", of(thousands(today.added.0), sats)),
        (
            "failures in a row",
            of(usage.failures.to_string(), failures),
        ),
        ("notices waiting", notifications_waiting.to_string()),
    ];
    Ok(table::write_pairs(context.out, &pairs)?)
}

fn paused(pause: &Pause) -> String {
    let since = table::time(pause.since);
    let why = pause.reason.as_deref().unwrap_or("no reason given");
    format!("since {since} by {}: {why}", pause.by)
}
