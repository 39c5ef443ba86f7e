//! What is checked of a job before anything else, each with its own clear error.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::super::shared::{Account, Shared};
use crate::domain::credentials::Credentials;
use crate::domain::execution;
use crate::domain::ids::AccountId;
use crate::domain::jobs::{Danger, JobKey, JobScope, Request};
use crate::domain::rules::{Rule, RuleKind};
use crate::journal::JournalError;
use crate::queue::{Job, Outcome, Payload};
use crate::store::{Automation, StoreError};

/// Within this after the start of the process, accounts are served and read for the first time.
const BEGINNING: Duration = Duration::from_secs(30);
/// Until then jobs that come too early are handed out again so often.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// While the store does not answer, jobs are handed out again so often.
const WHILE_AWAY: Duration = Duration::from_secs(1);
/// A job waits no longer than this for the store, from when it was due; beyond, each time costs an
/// attempt, so that its producer hears of it.
const WAITS_MOST: Duration = Duration::from_secs(600);

/// A job that may be carried out.
pub(super) struct Checked {
    /// Which job.
    pub(super) key: JobKey,
    /// What it asks for.
    pub(super) payload: Payload,
    /// Its automation, as stored.
    pub(super) automation: Automation,
    /// The automation's rule.
    pub(super) rule: Arc<Rule>,
    /// Its account.
    pub(super) account: Arc<Account>,
    /// From when on it could run.
    pub(super) due_at: DateTime<Utc>,
    attempts_made: u32,
}

impl Checked {
    /// The job as the desk knows it.
    pub(super) fn request(&self) -> Request {
        let danger = match self.automation.kind {
            RuleKind::MarginGuard => Danger::MarginGuard,
            RuleKind::TpSl => Danger::TpSl,
            RuleKind::AutoEntry => Danger::AutoEntry,
        };
        let account = self.account.tag.id.clone();
        let when = (self.due_at, self.attempts_made);
        request(&self.key, &self.payload, when, account, danger)
    }

    /// What its producer calls what it wants.
    pub(super) fn action(&self) -> &str {
        let wanted = execution::wanted(&self.rule, false);
        self.payload.action.as_deref().unwrap_or(wanted)
    }
}

/// A job as the desk knows it; `when`: from when on it could run, and attempts made since.
pub(super) fn request(
    key: &JobKey,
    payload: &Payload,
    when: (DateTime<Utc>, u32),
    account: AccountId,
    danger: Danger,
) -> Request {
    Request {
        key: key.clone(),
        account,
        automation: payload.automation.clone(),
        danger,
        scope: JobScope {
            action: payload.action.as_deref().map(Arc::from),
            position: payload.position,
        },
        due_at: when.0,
        attempts_made: when.1,
    }
}

/// Checks a job.
pub(super) async fn check(shared: &Shared, job: &Job) -> Result<Checked, Outcome> {
    let fail = |reason: String| Outcome::Failed(reason);
    let payload = Payload::parse(&job.data).map_err(|error| fail(error.to_string()))?;
    let id = &payload.automation;
    let automation = match shared.store.automation(id).await {
        Ok(automation) => automation,
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
            return Err(fail(error.to_string()));
        }
        Err(error) => return Err(store_failed(shared, job.due_at, &error)),
    };
    if automation.user_id != payload.user {
        let user = &payload.user;
        return Err(fail(format!(
            "automation {id} does not belong to user {user}"
        )));
    }
    if !automation.is_active {
        return Err(fail(format!("automation {id} is disabled")));
    }
    let rule = automation.rule().map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        fail(format!(
            "automation {id} cannot be obeyed: {}",
            errors.join("; ")
        ))
    })?;
    let account = account(shared, job.due_at, &automation).await?;
    tell_differences(&job.key, &payload, &automation, &account);
    Ok(Checked {
        key: job.key.clone(),
        payload,
        rule: Arc::new(rule),
        automation,
        account,
        due_at: job.due_at,
        attempts_made: job.attempts_made,
    })
}

async fn account(
    shared: &Shared,
    due_at: DateTime<Utc>,
    automation: &Automation,
) -> Result<Arc<Account>, Outcome> {
    let id = &automation.account_id;
    let stored = match shared.store.account(id.as_str()).await {
        Ok(stored) => stored,
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
            return Err(Outcome::Failed(error.to_string()));
        }
        Err(error) => return Err(store_failed(shared, due_at, &error)),
    };
    let name = &stored.name;
    if !stored.is_active {
        return Err(Outcome::Failed(format!("account {name} is disabled")));
    }
    if let Some(pause) = &stored.paused {
        let why = pause.reason.as_deref().unwrap_or("no reason was given");
        return Err(Outcome::Failed(format!(
            "account_paused: account {name} is paused: {why}"
        )));
    }
    let served = shared.accounts.load().get(id).cloned();
    let missing = match &served {
        Some(account) => missing(&account.credentials),
        None => match shared.store.credentials(id).await {
            Ok(credentials) => missing(&credentials),
            Err(error @ StoreError::Unavailable { .. }) => {
                return Err(store_failed(shared, due_at, &error));
            }
            Err(error) => return Err(Outcome::Failed(format!("account {name}: {error}"))),
        },
    };
    if !missing.is_empty() {
        return Err(Outcome::Failed(format!(
            "account {name} lacks its {}: give all three with `vigia account credentials`",
            missing.join(" and ")
        )));
    }
    served.ok_or_else(|| not_yet(shared, format!("account {name} is not served yet")))
}

/// Whether accounts and prices may still be on their way to be known.
pub(super) fn is_beginning(shared: &Shared) -> bool {
    shared.clock.mono() < BEGINNING
}

/// What becomes of a job that cannot be carried out yet. A service that has just begun, and will soon
/// be able to, costs it none of its attempts.
pub(super) fn not_yet(shared: &Shared, reason: impl Into<String>) -> Outcome {
    if is_beginning(shared) {
        Outcome::Later(LOOK_AGAIN)
    } else {
        Outcome::Retry(reason.into())
    }
}

/// What becomes of a job that the store fails: while it does not answer the job waits, which costs it
/// none of its attempts; but not for so long that nobody expects it any more.
pub(super) fn store_failed(
    shared: &Shared,
    due_at: DateTime<Utc>,
    error: &(impl Display + Silence),
) -> Outcome {
    shared.store_failed("jobs", error);
    let waited = (shared.clock.utc() - due_at).to_std().unwrap_or_default();
    if error.is_silence() && waited < WAITS_MOST {
        Outcome::Later(WHILE_AWAY)
    } else {
        Outcome::Retry(error.to_string())
    }
}

/// What says that the store does not answer, rather than what it answers.
pub(super) trait Silence {
    /// Whether it says so.
    fn is_silence(&self) -> bool;
}

impl Silence for StoreError {
    fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }
}

impl Silence for JournalError {
    fn is_silence(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_silence())
    }
}

/// Which of the three are empty.
fn missing(credentials: &Credentials) -> Vec<&'static str> {
    [
        ("key", &credentials.key),
        ("secret", &credentials.secret),
        ("passphrase", &credentials.passphrase),
    ]
    .into_iter()
    .filter(|(_, part)| part.expose_secret().is_empty())
    .map(|(name, _)| name)
    .collect()
}

/// The stored automation decides; where a producer believes something else, it is told.
fn tell_differences(key: &JobKey, payload: &Payload, automation: &Automation, account: &Account) {
    let stored = [
        ("accountId", serde_json::json!(automation.account_id)),
        ("accountName", serde_json::json!(&*account.tag.name)),
        ("automationType", serde_json::json!(automation.kind)),
        ("config", automation.config.clone()),
    ];
    for (field, stands) in stored {
        if payload
            .more
            .get(field)
            .is_some_and(|given| *given != stands)
        {
            tracing::warn!(
                event = "job.differs", account_id = %account.tag.id, account_name = %account.tag.name,
                job = %key, automation = %automation.id, field,
                "the stored automation decides, not what the job says of it"
            );
        }
    }
}
