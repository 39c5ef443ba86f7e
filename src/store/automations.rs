//! Automations: stored rules. Only one that can be obeyed is ever stored.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accounts::{build, new_id};
use super::entity::account;
use super::entity::automation::{ActiveModel, Column, Entity, Model};
use super::rows::{Listed, list};
use super::{Kind, Store, StoreError};
use crate::domain::ids::{AccountId, AutomationId, UserId};
use crate::domain::rules::{FieldError, Rule, RuleKind};

const TABLE: &str = "automations";

/// An automation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Automation {
    /// Its id, which never changes.
    pub id: AutomationId,
    /// The owner of its account.
    pub user_id: UserId,
    /// Its account.
    pub account_id: AccountId,
    /// What kind of rule it is.
    #[serde(rename = "type")]
    pub kind: RuleKind,
    /// The rule, as it was written.
    pub config: Value,
    /// Whether it may act.
    pub is_active: bool,
    /// Whether it acts by itself; otherwise only a job makes it act.
    pub live: bool,
    /// Raised by every change of the rule, from 1.
    pub rule_version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Automation {
    /// Reads its rule.
    ///
    /// # Errors
    /// All that is wrong with the configuration, by field: it was written by other hands.
    pub fn rule(&self) -> Result<Rule, Vec<FieldError>> {
        Rule::parse(self.kind, &self.config)
    }
}

/// An automation to be added.
#[derive(Clone, Debug)]
pub struct NewAutomation {
    /// Its account.
    pub account: AccountId,
    /// What kind of rule it is.
    pub kind: RuleKind,
    /// The rule.
    pub config: Value,
    /// Whether it acts by itself.
    pub live: bool,
    /// Whether it may act.
    pub active: bool,
}

impl TryFrom<Model> for Automation {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let kind = row.kind.parse();
        Ok(Self {
            kind: kind.map_err(|error: String| StoreError::corrupt(TABLE, &row.id, error))?,
            id: AutomationId::new(row.id),
            user_id: UserId::new(row.user_id),
            account_id: AccountId::new(row.account_id),
            config: row.config,
            is_active: row.is_active,
            live: row.live,
            rule_version: row.rule_version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Store {
    /// Adds an automation whose rule can be obeyed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with everything that is wrong with the configuration,
    /// [`StoreError::NotFound`] for the account, [`StoreError::Unavailable`],
    /// [`StoreError::Busy`].
    pub async fn add_automation(
        &self,
        new: NewAutomation,
        now: DateTime<Utc>,
    ) -> Result<Automation, StoreError> {
        Rule::parse(new.kind, &new.config).map_err(|errors| refused(new.kind, &errors))?;
        self.write(Kind::Several, move |db| {
            Box::pin(async move {
                let id = new.account.as_str();
                let owner = account::Entity::find_by_id(id).one(db).await?;
                let owner = owner.ok_or_else(|| StoreError::no_account(id))?;
                let row = Model {
                    id: new_id(now),
                    user_id: owner.user_id,
                    account_id: owner.id,
                    kind: new.kind.as_str().to_owned(),
                    config: new.config,
                    is_active: new.active,
                    live: new.live,
                    rule_version: 1,
                    created_at: now,
                    updated_at: now,
                };
                Entity::insert(ActiveModel::from(row.clone()))
                    .exec_without_returning(db)
                    .await?;
                Automation::try_from(row)
            })
        })
        .await
    }

    /// All automations, or those of one account, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn automations(
        &self,
        account: Option<&AccountId>,
    ) -> Result<Listed<Automation>, StoreError> {
        let mut query = Entity::find()
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id);
        if let Some(account) = account {
            query = query.filter(Column::AccountId.eq(account.as_str()));
        }
        self.read(async |db| list::<Model, Automation, _>(db, build(db, query), TABLE, "id").await)
            .await
    }

    /// One automation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn automation(&self, id: &AutomationId) -> Result<Automation, StoreError> {
        let query = Entity::find_by_id(id.as_str());
        let found = self
            .read(async |db| list::<Model, Automation, _>(db, build(db, query), TABLE, "id").await);
        let first = found.await?.first()?;
        first.ok_or_else(|| StoreError::no_automation(id.as_str()))
    }

    /// Lets an automation act, or no longer. Its rule version and what is armed stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn set_automation_active(
        &self,
        id: &AutomationId,
        active: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let update = Query::update()
            .table(Entity)
            .value(Column::IsActive, active)
            .value(Column::UpdatedAt, now)
            .and_where(Expr::col(Column::Id).eq(id.as_str()))
            .to_owned();
        let id = id.clone();
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                match db.execute(&update).await?.rows_affected() {
                    0 => Err(StoreError::no_automation(id.as_str())),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}

pub(super) fn refused(kind: RuleKind, errors: &[FieldError]) -> StoreError {
    let errors: Vec<_> = errors.iter().map(FieldError::to_string).collect();
    StoreError::Refused(format!(
        "the configuration of this {kind} cannot be obeyed: {}",
        errors.join("; ")
    ))
}
