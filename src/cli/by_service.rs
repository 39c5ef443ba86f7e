//! Verbs that a running service carries out: they take effect at once, and its answer says so.

use anyhow::Result;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::account::told::{self, Verb};
use super::account::{AccountArgs, AccountCommand};
use super::automation::{self, AutomationArgs, AutomationCommand};
use super::context::Context;
use super::kill_switch::{self, KillSwitchArgs, KillSwitchCommand, Of};
use super::service::Service;
use super::stored::Stored;
use crate::admin::{
    AccountAnswer, AutomationAnswer, CredentialsAnswer, KillSwitchAnswer, RestartAnswer,
};
use crate::domain::credentials::Credentials;
use crate::store::{Automation, NewAutomation};

/// How a command that changes something bears it that a service is there and does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It is better not to act beside it.
    Waits,
    /// It is written into the store all the same, which the service obeys before it sends anything.
    Urgent,
}

/// Whether a command changes what a running service should know of at once.
pub(super) fn urgency(command: &Stored) -> Option<Urgency> {
    use AccountCommand as A;
    use AutomationCommand as R;
    match command {
        Stored::Account(AccountArgs { command }) => match command {
            // Limits are conditions of the statements that fire and send: what is stored holds.
            A::List { .. } | A::Show { .. } | A::Limits(_) => None,
            A::Pause { .. } | A::Disable { .. } => Some(Urgency::Urgent),
            _ => Some(Urgency::Waits),
        },
        Stored::Automation(AutomationArgs { command }) => match command {
            R::List { .. } | R::Show { .. } | R::Check(_) => None,
            R::Disable { .. } => Some(Urgency::Urgent),
            _ => Some(Urgency::Waits),
        },
        Stored::KillSwitch(KillSwitchArgs { command }) => match command {
            KillSwitchCommand::List { .. } => None,
            KillSwitchCommand::On { .. } => Some(Urgency::Urgent),
            KillSwitchCommand::Off { .. } => Some(Urgency::Waits),
        },
        _ => None,
    }
}

/// Has the service carry a command out. `false`: that command needs the store as well.
pub(super) async fn carry_out(
    command: &Stored,
    service: &Service,
    context: &mut Context<'_>,
) -> Result<bool> {
    match command {
        Stored::Account(args) => of_account(&args.command, service, context).await?,
        Stored::KillSwitch(args) => of_kill_switch(&args.command, service, context).await?,
        Stored::Automation(args) => match &args.command {
            AutomationCommand::Enable { automation } => {
                let path = ["automations", automation, "enable"];
                let answer: AutomationAnswer = post(service, &path, Value::Null).await?;
                let answer = answer.automation;
                automation::tell_active(&answer.id, answer.is_active, context)?;
            }
            AutomationCommand::Disable { automation } => {
                let path = ["automations", automation, "disable"];
                let answer: AutomationAnswer = post(service, &path, Value::Null).await?;
                let answer = answer.automation;
                automation::tell_active(&answer.id, answer.is_active, context)?;
            }
            AutomationCommand::Remove { automation } => {
                let path = ["automations", automation];
                let answer: AutomationAnswer = delete(service, &path, &[]).await?;
                automation::tell_removed(&answer.automation.id, context)?;
            }
            // Shows first what it would do, which takes the store.
            _ => return Ok(false),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

async fn of_account(
    command: &AccountCommand,
    service: &Service,
    context: &mut Context<'_>,
) -> Result<()> {
    let (name, verb, path, body) = match command {
        AccountCommand::Add(args) => {
            let mut body = parts(&args.credentials.read(context.prompt)?);
            body["name"] = json!(args.name);
            body["network"] = json!(args.network);
            body["user"] = json!(args.user);
            let answer: AccountAnswer = post(service, &["accounts"], body).await?;
            return told::added(&answer.account, args.json, context);
        }
        AccountCommand::Enable { account } => (account, Verb::Enable, "enable", Value::Null),
        AccountCommand::Disable { account } => (account, Verb::Disable, "disable", Value::Null),
        AccountCommand::Pause { account, reason } => {
            (account, Verb::Pause, "pause", json!({ "reason": reason }))
        }
        AccountCommand::Resume { account } => (account, Verb::Resume, "resume", Value::Null),
        AccountCommand::Restart { account, json } => {
            let path = ["accounts", account, "restart"];
            let answer: RestartAnswer = post(service, &path, Value::Null).await?;
            return told::restarted(&answer, *json, context);
        }
        AccountCommand::Credentials(args) => {
            let mut body = parts(&args.credentials.read(context.prompt)?);
            body["unverified"] = json!(args.unverified);
            let path = ["accounts", &args.account, "credentials"];
            let answer: CredentialsAnswer = post(service, &path, body).await?;
            return told::rotated(&answer, true, context);
        }
        AccountCommand::Remove { account, force } => {
            let force = if *force { "true" } else { "false" };
            let path = ["accounts", account];
            let answer: AccountAnswer = delete(service, &path, &[("force", force)]).await?;
            return told::done(Verb::Remove, &answer, true, context);
        }
        // These have no use for the service.
        AccountCommand::List { .. } | AccountCommand::Show { .. } | AccountCommand::Limits(_) => {
            return Ok(());
        }
    };
    let answer: AccountAnswer = post(service, &["accounts", name, path], body).await?;
    told::done(verb, &answer, true, context)
}

async fn of_kill_switch(
    command: &KillSwitchCommand,
    service: &Service,
    context: &mut Context<'_>,
) -> Result<()> {
    match command {
        KillSwitchCommand::On {
            of,
            allow_protective,
            reason,
        } => {
            let body = json!({ "allowsProtective": allow_protective, "reason": reason });
            let path = reach(of);
            let answer: KillSwitchAnswer = service.ask(Method::PUT, &path, &[], &body).await?;
            kill_switch::tell_on(&answer.reach, *allow_protective, context)
        }
        KillSwitchCommand::Off { of } => {
            let answer: KillSwitchAnswer = delete(service, &reach(of), &[]).await?;
            kill_switch::tell_off(&answer.reach, context)
        }
        KillSwitchCommand::List { .. } => Ok(()),
    }
}

/// Adds an automation.
pub(super) async fn add_automation(service: &Service, new: &NewAutomation) -> Result<Automation> {
    let body = json!({
        "account": new.account, "type": new.kind, "config": new.config, "live": new.live,
        "enabled": new.active,
    });
    let answer: AutomationAnswer = post(service, &["automations"], body).await?;
    Ok(answer.automation)
}

fn reach(of: &Of) -> Vec<&str> {
    match (&of.account, &of.automation) {
        (Some(account), _) => vec!["kill-switches", "account", account],
        (_, Some(automation)) => vec!["kill-switches", "automation", automation],
        (None, None) => vec!["kill-switches", "service"],
    }
}

/// The one place where credentials leave this process: to the service, on this machine.
fn parts(credentials: &Credentials) -> Value {
    json!({
        "key": credentials.key.expose_secret(),
        "secret": credentials.secret.expose_secret(),
        "passphrase": credentials.passphrase.expose_secret(),
    })
}

async fn post<T: serde::de::DeserializeOwned>(
    service: &Service,
    path: &[&str],
    body: Value,
) -> Result<T> {
    service.ask(Method::POST, path, &[], &body).await
}

async fn delete<T: serde::de::DeserializeOwned>(
    service: &Service,
    path: &[&str],
    query: &[(&str, &str)],
) -> Result<T> {
    service.ask(Method::DELETE, path, query, &Value::Null).await
}
