//! What is checked of a job before anything else, each with its own clear error.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::super::shared::{Account, Shared};
use super::report;
use crate::domain::credentials::Credentials;
use crate::domain::execution;
use crate::domain::jobs::{Danger, JobKey, JobScope, Request};
use crate::domain::rules::{Rule, RuleKind};
use crate::queue::{Job, Outcome, Payload};
use crate::store::{Automation, StoreError};

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
    due_at: DateTime<Utc>,
    attempts_made: u32,
}

impl Checked {
    /// The job as the desk knows it.
    pub(super) fn request(&self) -> Request {
        Request {
            key: self.key.clone(),
            account: self.account.tag.id.clone(),
            automation: self.automation.id.clone(),
            danger: match self.automation.kind {
                RuleKind::MarginGuard => Danger::MarginGuard,
                RuleKind::TpSl => Danger::TpSl,
                RuleKind::AutoEntry => Danger::AutoEntry,
            },
            scope: JobScope {
                action: self.payload.action.as_deref().map(Arc::from),
                position: self.payload.position,
            },
            due_at: self.due_at,
            attempts_made: self.attempts_made,
        }
    }

    /// What its producer calls what it wants.
    pub(super) fn action(&self) -> &str {
        let wanted = execution::wanted(&self.rule, false);
        self.payload.action.as_deref().unwrap_or(wanted)
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
        Err(error) => return Err(Outcome::Retry(error.to_string())),
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
    let account = account(shared, &automation).await?;
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

async fn account(shared: &Shared, automation: &Automation) -> Result<Arc<Account>, Outcome> {
    let id = &automation.account_id;
    let stored = match shared.store.account(id.as_str()).await {
        Ok(stored) => stored,
        Err(error @ (StoreError::NotFound { .. } | StoreError::Corrupt { .. })) => {
            return Err(Outcome::Failed(error.to_string()));
        }
        Err(error) => return Err(Outcome::Retry(error.to_string())),
    };
    let name = &stored.name;
    if !stored.is_active {
        return Err(Outcome::Failed(format!("account {name} is disabled")));
    }
    let served = shared.accounts.load().get(id).cloned();
    let missing = match &served {
        Some(account) => missing(&account.credentials),
        None => match shared.store.credentials(id).await {
            Ok(credentials) => missing(&credentials),
            Err(error @ StoreError::Unavailable { .. }) => {
                return Err(Outcome::Retry(error.to_string()));
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
    served.ok_or_else(|| report::not_yet(shared, format!("account {name} is not served yet")))
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
