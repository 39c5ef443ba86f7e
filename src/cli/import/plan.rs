//! What of another application's rows is carried over. Pure: nothing is read or written here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::secrets;
use super::source::{Source, SourceAccount, SourceAutomation};
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, AutomationId, UserId};
use crate::domain::rules::{Rule, RuleKind};
use crate::store::{Account, Automation, KeptAccount, KeptAutomation};

/// The exchange, as its name or slug reads without blanks and dashes.
const EXCHANGE: &str = "lnmarkets";

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It is new here.
    Added,
    /// It stands here already, the same.
    Unchanged,
    /// It stands here already, and stays as it is here.
    Differs,
    /// It cannot be carried over.
    LeftOut,
}

/// A row and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    /// `account` or `automation`.
    pub(super) what: &'static str,
    pub(super) id: String,
    /// The account's name, or the automation's type.
    pub(super) name: String,
    pub(super) fate: Fate,
    /// Why, where it is not added.
    pub(super) reason: Option<String>,
}

/// What is stored here.
#[derive(Default)]
pub(super) struct Here {
    pub(super) accounts: Vec<Account>,
    pub(super) automations: Vec<Automation>,
    /// Of the accounts, as far as they can be opened.
    pub(super) credentials: BTreeMap<AccountId, Credentials>,
    /// Ids of rows that cannot be read.
    pub(super) unreadable: BTreeSet<String>,
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) lines: Vec<Line>,
    pub(super) accounts: Vec<KeptAccount>,
    pub(super) automations: Vec<KeptAutomation>,
}

/// Why a row is not added.
type Reason = (Fate, String);

fn left_out<T>(reason: impl Into<String>) -> Result<T, Reason> {
    Err((Fate::LeftOut, reason.into()))
}

fn needed<'a>(value: Option<&'a String>, column: &str) -> Result<&'a str, Reason> {
    match value.map(String::as_str) {
        None | Some("") => left_out(format!("it has no {column}")),
        Some(value) => Ok(value),
    }
}

/// Decides for every row. Accounts go to `network`.
pub(super) fn plan(source: &Source, here: &Here, network: &str) -> Plan {
    let mut plan = Plan::default();
    for row in &source.accounts {
        let fate = account(row, source, here, network);
        plan.lines
            .push(line("account", &row.id, &row.name, fate.as_ref().err()));
        plan.accounts.extend(fate);
    }
    for row in &source.automations {
        let fate = automation(row, &plan.accounts, here);
        plan.lines
            .push(line("automation", &row.id, &row.kind, fate.as_ref().err()));
        plan.automations.extend(fate);
    }
    plan
}

fn line(
    what: &'static str,
    id: &Option<String>,
    name: &Option<String>,
    not_added: Option<&Reason>,
) -> Line {
    Line {
        what,
        id: id.clone().unwrap_or_default(),
        name: name.clone().unwrap_or_default(),
        fate: not_added.map_or(Fate::Added, |(fate, _)| *fate),
        reason: not_added
            .map(|(_, reason)| reason.clone())
            .filter(|reason| !reason.is_empty()),
    }
}

fn account(
    row: &SourceAccount,
    source: &Source,
    here: &Here,
    network: &str,
) -> Result<KeptAccount, Reason> {
    let id = AccountId::new(needed(row.id.as_ref(), "id")?);
    on_this_exchange(row)?;
    let user_id = UserId::new(needed(row.user_id.as_ref(), "user_id")?);
    let name = needed(row.name.as_ref(), "account_name")?;
    let Some(active) = row.is_active else {
        return left_out("is_active is null: neither yes nor no");
    };
    let json = row
        .credentials
        .as_ref()
        .map_or("null", |json| json.as_str());
    let credentials = secrets::read(json);
    if here.unreadable.contains(id.as_str()) {
        return Err((Fate::Differs, "its row here cannot be read".to_owned()));
    }
    if let Some(stored) = here.accounts.iter().find(|stored| stored.id == id) {
        let other_credentials = match (&credentials, here.credentials.get(&id)) {
            (Ok(theirs), Some(ours)) => !secrets::same(theirs, ours),
            _ => false,
        };
        return Err(compared([
            ("user", stored.user_id != user_id),
            ("name", stored.name != name),
            ("network", stored.network != network),
            ("enabled", stored.is_active != active),
            ("credentials", other_credentials),
        ]));
    }
    let namesakes = |other: &&SourceAccount| other.name.as_deref() == Some(name);
    let namesakes = source.accounts.iter().filter(namesakes).count();
    if namesakes > 1 || here.accounts.iter().any(|stored| stored.name == name) {
        return left_out("another account has the same name: rename one of them");
    }
    let kept = KeptAccount {
        id,
        user_id,
        name: name.to_owned(),
        network: network.to_owned(),
        credentials: credentials.map_err(|reason| (Fate::LeftOut, reason))?,
        active,
    };
    match kept.check() {
        Ok(()) => Ok(kept),
        Err(error) => left_out(error.to_string()),
    }
}

fn on_this_exchange(row: &SourceAccount) -> Result<(), Reason> {
    let plain = |text: &String| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    let named = [&row.slug, &row.exchange];
    if named
        .into_iter()
        .flatten()
        .any(|name| plain(name) == EXCHANGE)
    {
        return Ok(());
    }
    let exchange = row.slug.as_ref().or(row.exchange.as_ref());
    left_out(match (exchange, &row.exchange_id) {
        (Some(exchange), _) => format!("its exchange is {exchange}, not LN Markets"),
        (None, Some(id)) => format!("there is no exchange {id}"),
        (None, None) => "it has no exchange_id".to_owned(),
    })
}

fn automation(
    row: &SourceAutomation,
    added: &[KeptAccount],
    here: &Here,
) -> Result<KeptAutomation, Reason> {
    let id = AutomationId::new(needed(row.id.as_ref(), "id")?);
    let user_id = UserId::new(needed(row.user_id.as_ref(), "user_id")?);
    let account = AccountId::new(needed(row.account_id.as_ref(), "user_exchange_account_id")?);
    let kind: RuleKind = match needed(row.kind.as_ref(), "type")?.parse() {
        Ok(kind) => kind,
        Err(error) => return left_out(error),
    };
    let Some(active) = row.is_active else {
        return left_out("is_active is null: neither yes nor no");
    };
    let config = row.config.as_deref().map(serde_json::from_str::<Value>);
    let Some(Ok(config)) = config else {
        return left_out("it has no config");
    };
    if here.unreadable.contains(id.as_str()) {
        return Err((Fate::Differs, "its row here cannot be read".to_owned()));
    }
    if let Some(stored) = here.automations.iter().find(|stored| stored.id == id) {
        return Err(compared([
            ("user", stored.user_id != user_id),
            ("account", stored.account_id != account),
            ("type", stored.kind != kind),
            ("config", stored.config != config),
            ("enabled", stored.is_active != active),
        ]));
    }
    let owner = added
        .iter()
        .find(|kept| kept.id == account)
        .map(|kept| &kept.user_id);
    let stored = here.accounts.iter().find(|stored| stored.id == account);
    match owner.or(stored.map(|stored| &stored.user_id)) {
        None => return left_out(format!("its account {account} is not carried over")),
        Some(owner) if *owner != user_id => {
            return left_out(format!("its account {account} is another user's"));
        }
        Some(_) => {}
    }
    if let Err(errors) = Rule::parse(kind, &config) {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        return left_out(format!(
            "its config cannot be obeyed: {}",
            errors.join("; ")
        ));
    }
    Ok(KeptAutomation {
        id,
        user_id,
        account,
        kind,
        config,
        active,
    })
}

fn compared<const N: usize>(fields: [(&str, bool); N]) -> Reason {
    let differing = fields.iter().filter(|(_, differs)| *differs);
    let names: Vec<_> = differing.map(|(name, _)| *name).collect();
    match names[..] {
        [] => (Fate::Unchanged, String::new()),
        _ => (
            Fate::Differs,
            format!("stays as it is here: another {}", names.join(", ")),
        ),
    }
}
