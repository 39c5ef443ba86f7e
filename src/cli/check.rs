//! `vigia check`: whether configuration, store, credentials and rules can be used, offline and
//! online. Changes nothing at the exchange.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::process::ExitCode;

use anyhow::Result;
use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::output::say;
use super::{Global, outlook, rights};
use crate::app::Prepared;
use crate::domain::text::plain;
use crate::journal::left_in;
use crate::store::folder::FolderError;

/// What `vigia check` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the exchange
    #[arg(long)]
    offline: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
pub(super) struct Finding {
    what: String,
    ok: bool,
    detail: String,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>, result: Result<String, String>) -> Self {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        Self {
            what: what.into(),
            ok,
            detail,
        }
    }
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    // As `run` does it; a service that runs holds the folder, and is then better asked.
    let left = left_in(&settings.data_dir);
    let prepared = Prepared::new(&settings).await.map_err(instead)?;
    let mut findings = vec![
        Finding::new("configuration", Ok("every key is known".to_owned())),
        Finding::new(
            "store",
            Ok(format!("{} is up to date", settings.data_dir.display())),
        ),
    ];
    findings.extend(
        left.map_or_else(|error| Some(Err(error)), taken_over)
            .map(|left| Finding::new("intents", left)),
    );
    findings.extend(stored(&prepared).await?);
    let outlooks = if args.offline {
        vec![]
    } else {
        outlook::read(&prepared, None).await?
    };
    for outlook in &outlooks {
        let read = match &outlook.error {
            None => Ok(format!(
                "the exchange answers; {} rules watch",
                outlook.rules.len()
            )),
            Some(error) => Err(error.clone()),
        };
        findings.push(Finding::new(
            format!("account {} online", outlook.account),
            read,
        ));
    }
    if !args.offline {
        let accounts = prepared.store.accounts().await?.rows;
        findings.extend(rights::findings(&prepared, &accounts).await);
    }
    if args.json {
        let all = serde_json::json!({ "findings": findings, "outlook": outlooks });
        say(serde_json::to_string_pretty(&all)?)?;
    } else {
        for finding in &findings {
            let mark = if finding.ok { "ok  " } else { "FAIL" };
            let told = format!("{}: {}", finding.what, finding.detail);
            say(format_args!("{mark} {}", plain(&told)))?;
        }
        for line in outlooks.iter().flat_map(outlook::Outlook::lines) {
            say(format_args!("     {line}"))?;
        }
    }
    prepared.close().await;
    let all_ok = findings.iter().all(|finding| finding.ok);
    Ok(if all_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where a service runs, it knows more than a check could find out beside it.
fn instead(error: anyhow::Error) -> anyhow::Error {
    let held = FolderError::is_held;
    if !error.downcast_ref().is_some_and(held) {
        return error;
    }
    error.context(
        "a service runs here, and says how everything is: `vigia status`, `vigia account show`, \
         `vigia why`, and `config.unusable` in its log; a check needs the data folder for itself",
    )
}

/// What stood in the file of intents: whoever prepares takes it over.
fn taken_over(left: usize) -> Option<Result<String, String>> {
    (left > 0).then(|| {
        Ok(format!(
            "executions that an earlier process had to leave in the file of intents are in the \
             database now: {left}"
        ))
    })
}

/// One key in two accounts is one account of the exchange, which two guards would act for.
fn alone(key: Entry<'_, (String, Vec<u8>), String>, name: &str) -> Result<String, String> {
    match key {
        Entry::Vacant(first) => {
            first.insert(name.to_owned());
            Ok("credentials can be unsealed".to_owned())
        }
        Entry::Occupied(other) => Err(format!(
            "it has the same key as account {}: the rules of both would act for the same positions; \
             remove one of them",
            other.get()
        )),
    }
}

/// Accounts and automations, without the exchange.
async fn stored(prepared: &Prepared) -> Result<Vec<Finding>> {
    let mut findings = vec![];
    let accounts = prepared.store.accounts().await?;
    for error in accounts.unreadable {
        findings.push(Finding::new("account", Err(error.to_string())));
    }
    let mut keys: HashMap<(String, Vec<u8>), String> = HashMap::new();
    for account in accounts.rows {
        let what = format!("account {}", account.name);
        let usable = if !prepared.networks.contains_key(&account.network) {
            Err(format!("its network {} is not configured", account.network))
        } else {
            match prepared.store.credentials(&account.id).await {
                Err(error) => Err(error.to_string()),
                Ok(credentials) => match credentials.unusable_parts()[..] {
                    // Nobody acts for one that is disabled.
                    [] if !account.is_active => Ok("credentials can be unsealed".to_owned()),
                    [] => {
                        let key = digest(&SHA256, credentials.key.expose_secret().as_bytes());
                        let of = (account.network.clone(), key.as_ref().to_vec());
                        alone(keys.entry(of), &account.name)
                    }
                    ref parts => Err(format!("{} cannot be one", parts.join(" and "))),
                },
            }
        };
        findings.push(Finding::new(what, usable));
    }
    let automations = prepared.store.automations(None).await?;
    for error in automations.unreadable {
        findings.push(Finding::new("automation", Err(error.to_string())));
    }
    for automation in automations.rows {
        let rule = automation
            .rule()
            .map(|rule| format!("{} can be obeyed", rule.kind()));
        let rule = rule.map_err(|errors| {
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        });
        findings.push(Finding::new(format!("automation {}", automation.id), rule));
    }
    Ok(findings)
}
