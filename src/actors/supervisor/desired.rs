//! What should run, as the store says.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::super::shared::Shared;
use super::AutomationPlan;
use super::idle::Off;
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;
use crate::store::{self, StoreError};
use crate::telemetry::AccountTag;

/// Credentials that are opened at once.
const OPENED_AT_ONCE: usize = 8;

/// Which credentials, and of which network, an account is served with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    version: i64,
    pub(super) network: String,
}

impl Access {
    pub(super) fn of(stored: &store::Account) -> Self {
        Self {
            version: stored.credentials_version,
            network: stored.network.clone(),
        }
    }
}

/// An account that should be served.
pub(super) struct Wanted {
    pub(super) stored: store::Account,
    /// What it should be watched for; nothing while it is paused.
    pub(super) plans: Vec<AutomationPlan>,
    /// Where they are others than it is served with.
    pub(super) credentials: Option<Result<Credentials, StoreError>>,
    /// Whether it has executions that have not ended, where it is to change its network: they are
    /// proven where they were sent.
    pub(super) is_owed: bool,
    /// Where it is not served yet: another network, on which an earlier process left something of it
    /// under way.
    pub(super) owed_on: Option<String>,
}

/// What is stored and cannot be used, as it is told.
pub(super) struct Unusable {
    /// The account that it is about, where that is known.
    pub(super) account: Option<AccountTag>,
    pub(super) problem: String,
}

impl Unusable {
    pub(super) fn of(stored: &store::Account, problem: impl ToString) -> Self {
        let (id, name) = (stored.id.clone(), stored.name.as_str().into());
        Self {
            account: Some(AccountTag { id, name }),
            problem: problem.to_string(),
        }
    }

    fn row(error: &StoreError) -> Self {
        Self {
            account: None,
            problem: error.to_string(),
        }
    }
}

/// What is stored: accounts that should be served, and what each should be watched for.
pub(super) struct Desired {
    pub(super) accounts: HashMap<AccountId, Wanted>,
    /// Automations that do not act by themselves.
    pub(super) off: Vec<Off>,
}

/// Reads what should run, and what of it cannot be used, in words. `served` says what the accounts
/// are served with now.
pub(super) async fn desired(
    shared: &Shared,
    served: &HashMap<AccountId, Access>,
) -> Result<(Desired, Vec<Unusable>), StoreError> {
    let store = &shared.store;
    let mut unusable = vec![];
    let listed = store.accounts().await?;
    unusable.extend(listed.unreadable.iter().map(Unusable::row));
    let wanted = |stored: store::Account| Wanted {
        stored,
        plans: vec![],
        credentials: None,
        is_owed: false,
        owed_on: None,
    };
    let mut accounts: HashMap<_, _> = listed
        .rows
        .into_iter()
        .map(|account| (account.id.clone(), wanted(account)))
        .collect();
    let mut off = vec![];
    let listed = store.automations(None).await?;
    unusable.extend(listed.unreadable.iter().map(Unusable::row));
    for stored in listed.rows {
        let Some(wanted) = accounts.get_mut(&stored.account_id) else {
            continue;
        };
        if let Some(is_off) = Off::of(&stored, &wanted.stored) {
            off.push(is_off);
            continue;
        }
        match stored.rule() {
            Ok(rule) => wanted.plans.push(AutomationPlan {
                id: stored.id,
                rule_version: stored.rule_version,
                rule: Arc::new(rule),
            }),
            Err(errors) => {
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                let problem = format!("automation {}: {}", stored.id, errors.join("; "));
                unusable.push(Unusable::of(&wanted.stored, problem));
            }
        }
    }
    accounts.retain(|_, wanted| wanted.stored.is_active);
    open_credentials(store, served, &mut accounts).await;
    owe(shared, served, &mut accounts).await?;
    Ok((Desired { accounts, off }, unusable))
}

/// Finds what accounts that are new here, or go to another network, have under way elsewhere.
async fn owe(
    shared: &Shared,
    served: &HashMap<AccountId, Access>,
    accounts: &mut HashMap<AccountId, Wanted>,
) -> Result<(), StoreError> {
    let stays = |wanted: &Wanted| {
        let served = served.get(&wanted.stored.id);
        served.is_some_and(|served| served.network == wanted.stored.network)
    };
    if accounts.values().all(stays) {
        return Ok(());
    }
    let unfinished = shared.journal.unfinished().await;
    let unfinished = unfinished.map_err(|error| StoreError::unavailable(error.to_string()))?;
    for row in &unfinished.rows {
        let Some(wanted) = accounts.get_mut(&row.account) else {
            continue;
        };
        wanted.is_owed = true;
        let network = &wanted.stored.network;
        if row.has_begun() && row.decision.is_elsewhere(network) {
            let there = row.decision.network.clone();
            wanted.owed_on = there.filter(|name| shared.networks.contains_key(name));
        }
    }
    Ok(())
}

/// Opens what the accounts are not served with yet.
async fn open_credentials(
    store: &store::Store,
    served: &HashMap<AccountId, Access>,
    accounts: &mut HashMap<AccountId, Wanted>,
) {
    let others = accounts
        .iter()
        .filter(|(id, wanted)| served.get(*id) != Some(&Access::of(&wanted.stored)));
    let others: Vec<_> = others.map(|(id, _)| id.clone()).collect();
    let mut opened = stream::iter(others)
        .map(|id| async move { (store.credentials(&id).await, id) })
        .buffer_unordered(OPENED_AT_ONCE);
    while let Some((credentials, id)) = opened.next().await {
        if let Some(wanted) = accounts.get_mut(&id) {
            wanted.credentials = Some(credentials);
        }
    }
}
