//! Whether the account's daily limits leave room for what an automation would do.

use chrono::{DateTime, Utc};

use super::inaction::Finding;
use crate::cli::format::thousands;
use crate::domain::execution::Intent;
use crate::domain::rules::Rule;
use crate::domain::units::Sats;
use crate::journal::Journal;
use crate::store::Account;

/// What the limits of the account say of a rule. A close is never held back.
pub(super) async fn allowed(
    rule: &Rule,
    account: &Account,
    journal: &Journal,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Finding>> {
    let intent = Intent::of(rule, false);
    let protections = journal.protections(&account.id).await?;
    let today = journal.today(&account.id, now).await?;
    let mut findings = vec![];
    if intent.closes() {
        return Ok(findings);
    }
    let raise = |ok: bool| match ok {
        true => String::new(),
        false => format!(
            ": `vigia account limits {}` shows and changes it",
            account.name
        ),
    };
    if let Some(most) = protections.executions_per_day {
        let ok = today.executions < u64::from(most);
        let sent = today.executions;
        let detail = format!(
            "of account {}, {sent} of {most} executions were sent today (UTC){}",
            account.name,
            raise(ok)
        );
        findings.push(Finding::new("executions of the account", ok, detail));
    }
    if let (Some(most), Intent::AddMargin(amount)) = (protections.sats_per_day, intent) {
        let ok = today.added + amount <= most;
        let sats = |amount: Sats| thousands(amount.0);
        let detail = format!(
            "{} of {} sats were added to the margin of account {} today (UTC), and it would add {}{}",
            sats(today.added),
            sats(most),
            account.name,
            sats(amount),
            raise(ok)
        );
        findings.push(Finding::new("margin of the account", ok, detail));
    }
    Ok(findings)
}
