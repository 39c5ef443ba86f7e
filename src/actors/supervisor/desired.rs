//! What should run, as the store says.

use std::collections::HashMap;
use std::sync::Arc;

use super::AutomationPlan;
use crate::domain::ids::AccountId;
use crate::store::{self, StoreError};

/// What is stored: accounts that should be served, and what each should be watched for.
pub(super) struct Desired {
    pub(super) accounts: HashMap<AccountId, (store::Account, Vec<AutomationPlan>)>,
}

/// Reads what should run, and what of it cannot be used, in words.
pub(super) async fn desired(store: &store::Store) -> Result<(Desired, Vec<String>), StoreError> {
    let mut unusable = vec![];
    let listed = store.accounts().await?;
    unusable.extend(listed.unreadable.iter().map(ToString::to_string));
    let mut accounts: HashMap<_, _> = listed
        .rows
        .into_iter()
        .filter(|account| account.is_active)
        .map(|account| (account.id.clone(), (account, vec![])))
        .collect();
    let listed = store.automations(None).await?;
    unusable.extend(listed.unreadable.iter().map(ToString::to_string));
    for stored in listed
        .rows
        .into_iter()
        .filter(|stored| stored.is_active && stored.live)
    {
        let Some((_, plans)) = accounts.get_mut(&stored.account_id) else {
            continue;
        };
        match stored.rule() {
            Ok(rule) => plans.push(AutomationPlan {
                id: stored.id,
                rule_version: stored.rule_version,
                rule: Arc::new(rule),
            }),
            Err(errors) => {
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                unusable.push(format!("automation {}: {}", stored.id, errors.join("; ")));
            }
        }
    }
    Ok((Desired { accounts }, unusable))
}
