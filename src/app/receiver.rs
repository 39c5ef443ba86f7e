//! The receiver of notifications that the configuration names.

use anyhow::{Context, Result, anyhow, bail};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::config::Settings;
use crate::notify::{Webhook, WebhookPlan};

/// The receiver, if one is configured, with the secret from `VIGIA_WEBHOOK_SECRET` or its file.
///
/// # Errors
/// What of it cannot be used, by its key.
pub fn webhook(settings: &Settings) -> Result<Option<Webhook>> {
    let notify = &settings.notify;
    if notify.url.expose().is_empty() {
        return Ok(None);
    }
    let plan = WebhookPlan {
        url: notify.url.expose().to_owned(),
        secret: secret(settings)?,
        ca_file: Some(notify.ca_file.clone()).filter(|file| !file.as_os_str().is_empty()),
        within: notify.within(),
    };
    let webhook = Webhook::new(plan);
    webhook
        .map(Some)
        .map_err(|error| anyhow!("notify.{}: {}", error.field, error.problem))
}

fn secret(settings: &Settings) -> Result<SecretString> {
    if let Some(secret) = crate::config::process_environment("VIGIA_WEBHOOK_SECRET") {
        return Ok(secret.into());
    }
    let file = &settings.notify.secret_file;
    if file.as_os_str().is_empty() {
        bail!(
            "notify.url is given and no secret to sign with: name its file in notify.secret_file, \
             or give it in VIGIA_WEBHOOK_SECRET"
        );
    }
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.with_context(|| format!("notify.secret_file {}", file.display()))?;
    Ok(text.trim().to_owned().into())
}
