//! Rows of another application, taken over with the ids that they have there.

use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;
use serde_json::Value;

use super::accounts::check_account;
use super::entity::{account, automation};
use super::{Kind, Store, StoreError};
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, AutomationId, UserId};
use crate::domain::rules::{Rule, RuleKind};

/// An account that keeps its id.
#[derive(Clone, Debug)]
pub struct KeptAccount {
    /// The id that it has.
    pub id: AccountId,
    /// Its owner.
    pub user_id: UserId,
    /// A name that no other account has.
    pub name: String,
    /// The network of the exchange that it is on.
    pub network: String,
    /// Key, secret and passphrase.
    pub credentials: Credentials,
    /// Whether it may be traded.
    pub active: bool,
}

impl KeptAccount {
    /// Whether it could be added, as far as it alone decides that.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn check(&self) -> Result<(), StoreError> {
        check_account(&self.name, &self.network, &self.user_id)
    }
}

/// An automation that keeps its id. It acts by job only.
#[derive(Clone, Debug)]
pub struct KeptAutomation {
    /// The id that it has.
    pub id: AutomationId,
    /// The owner of its account.
    pub user_id: UserId,
    /// Its account.
    pub account: AccountId,
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// The rule, which can be obeyed.
    pub config: Value,
    /// Whether it may act.
    pub active: bool,
}

impl Store {
    /// Adds accounts, their credentials sealed, and automations: all of them, or none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a name or rule that cannot be, [`StoreError::Constraint`] and
    /// [`StoreError::ForeignKey`] where the store has changed since it was read,
    /// [`StoreError::Vault`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn keep(
        &self,
        accounts: Vec<KeptAccount>,
        automations: Vec<KeptAutomation>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let accounts = accounts.into_iter().map(|kept| self.account_row(kept, now));
        let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
        let automations = automations
            .into_iter()
            .map(|kept| automation_row(kept, now));
        let automations = automations.collect::<Result<Vec<_>, _>>()?;
        self.write(Kind::Several, move |db| {
            Box::pin(async move {
                for row in accounts {
                    account::Entity::insert(account::ActiveModel::from(row))
                        .exec_without_returning(db)
                        .await?;
                }
                for row in automations {
                    automation::Entity::insert(automation::ActiveModel::from(row))
                        .exec_without_returning(db)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    fn account_row(
        &self,
        kept: KeptAccount,
        now: DateTime<Utc>,
    ) -> Result<account::Model, StoreError> {
        kept.check()?;
        let credentials = self.vault()?.seal(&kept.id, &kept.credentials)?;
        Ok(account::Model {
            id: kept.id.to_string(),
            user_id: kept.user_id.to_string(),
            account_name: kept.name,
            network: kept.network,
            credentials,
            is_active: kept.active,
            created_at: now,
            updated_at: now,
            paused_since: None,
            paused_reason: None,
            paused_by: None,
            credentials_version: 1,
        })
    }
}

fn automation_row(
    kept: KeptAutomation,
    now: DateTime<Utc>,
) -> Result<automation::Model, StoreError> {
    Rule::parse(kept.kind, &kept.config)
        .map_err(|errors| super::automations::refused(kept.kind, &errors))?;
    Ok(automation::Model {
        id: kept.id.to_string(),
        user_id: kept.user_id.to_string(),
        account_id: kept.account.to_string(),
        kind: kept.kind.as_str().to_owned(),
        config: kept.config,
        is_active: kept.active,
        live: false,
        rule_version: 1,
        created_at: now,
        updated_at: now,
    })
}
