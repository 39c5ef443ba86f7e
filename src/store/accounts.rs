//! Accounts, with their credentials sealed.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QueryTrait, Select,
};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

use super::entity::account::{ActiveModel, Column, Entity, Model};
use super::pauses::Pause;
use super::rows::{Listed, list};
use super::{Kind, Store, StoreError};
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::text::is_hidden;

const TABLE: &str = "user_exchange_accounts";
/// The longest name of an account, in characters.
const NAME_MOST: usize = 64;

/// An account, without its credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id, which never changes.
    pub id: AccountId,
    /// Its owner.
    pub user_id: UserId,
    /// Its name, which no other account has.
    pub name: String,
    /// The network of the exchange that it is on.
    pub network: String,
    /// Whether it may be traded.
    pub is_active: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// While it is paused nothing is decided and nothing sent for it.
    pub paused: Option<Pause>,
    /// Raised by every change of its credentials, from 1.
    pub credentials_version: i64,
}

/// An account to be added. It starts active.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its owner.
    pub user_id: UserId,
    /// A name that no other account has: up to 64 characters, all of which can be seen.
    pub name: String,
    /// The network of the exchange that it is on, for example `mainnet`.
    pub network: String,
    /// Key, secret and passphrase.
    pub credentials: Credentials,
}

impl TryFrom<Model> for Account {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            paused: Pause::stored(&row),
            credentials_version: row.credentials_version,
            id: AccountId::new(row.id),
            user_id: UserId::new(row.user_id),
            name: row.account_name,
            network: row.network,
            is_active: row.is_active,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A new id; ids made later sort later.
pub(super) fn new_id(now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let at = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(at).to_string()
}

impl Store {
    /// Seals the credentials and adds the account, active.
    ///
    /// # Errors
    /// [`StoreError::Exists`] for a name that is taken, [`StoreError::Refused`] for one that cannot
    /// be, [`StoreError::Vault`] for credentials that cannot be or without a vault,
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn add_account(
        &self,
        new: NewAccount,
        now: DateTime<Utc>,
    ) -> Result<Account, StoreError> {
        check_account(&new.name, &new.network, &new.user_id)?;
        let id = AccountId::new(new_id(now));
        let sealed = self.vault()?.seal(&id, &new.credentials)?;
        let account = Account {
            id,
            user_id: new.user_id,
            name: new.name,
            network: new.network,
            is_active: true,
            created_at: now,
            updated_at: now,
            paused: None,
            credentials_version: 1,
        };
        let row = ActiveModel {
            id: Set(account.id.to_string()),
            user_id: Set(account.user_id.to_string()),
            account_name: Set(account.name.clone()),
            network: Set(account.network.clone()),
            credentials: Set(sealed),
            is_active: Set(true),
            created_at: Set(now),
            updated_at: Set(now),
            credentials_version: Set(1),
            ..ActiveModel::default()
        };
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                match Entity::insert(row).exec_without_returning(db).await {
                    Ok(_) => Ok(account),
                    Err(error) => Err(match error.into() {
                        StoreError::Constraint(what) if what.contains("account_name") => {
                            StoreError::Exists {
                                what: "account",
                                name: account.name,
                            }
                        }
                        error => error,
                    }),
                }
            })
        })
        .await
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn accounts(&self) -> Result<Listed<Account>, StoreError> {
        let query = Entity::find().order_by_asc(Column::AccountName);
        self.read(async |db| list::<Model, Account, _>(db, build(db, query), TABLE, "id").await)
            .await
    }

    /// One account, by its id or its name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn account(&self, id_or_name: &str) -> Result<Account, StoreError> {
        let query = by_id_or_name(id_or_name);
        let found = self
            .read(async |db| list::<Model, Account, _>(db, build(db, query), TABLE, "id").await);
        let mut accounts = found.await?;
        // A name that is another account's id: the id decides.
        accounts
            .rows
            .sort_by_key(|account| account.id.as_str() != id_or_name);
        let first = accounts.first()?;
        first.ok_or_else(|| StoreError::no_account(id_or_name))
    }

    /// Opens an account's credentials.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when they cannot be opened, [`StoreError::NotFound`],
    /// [`StoreError::Unavailable`].
    pub async fn credentials(&self, account: &AccountId) -> Result<Credentials, StoreError> {
        let query = Entity::find().filter(Column::Id.eq(account.as_str()));
        let row = self.read(async |db| Ok::<_, StoreError>(query.one(db).await?));
        let row = row
            .await?
            .ok_or_else(|| StoreError::no_account(account.as_str()))?;
        Ok(self.vault()?.open(account, &row.credentials)?)
    }

    /// Lets an account be traded, or no longer; by its id or its name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn set_account_active(
        &self,
        id_or_name: &str,
        active: bool,
        now: DateTime<Utc>,
    ) -> Result<Account, StoreError> {
        let account = self.account(id_or_name).await?;
        let update = Query::update()
            .table(Entity)
            .value(Column::IsActive, active)
            .value(Column::UpdatedAt, now)
            .and_where(Expr::col(Column::Id).eq(account.id.as_str()))
            .to_owned();
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                if db.execute(&update).await?.rows_affected() == 0 {
                    return Err(StoreError::no_account(account.id.as_str()));
                }
                Ok(Account {
                    is_active: active,
                    updated_at: now,
                    ..account
                })
            })
        })
        .await
    }
}

fn by_id_or_name(id_or_name: &str) -> Select<Entity> {
    Entity::find().filter(
        Column::Id
            .eq(id_or_name)
            .or(Column::AccountName.eq(id_or_name)),
    )
}

/// The statement of a query, for the database at hand.
pub(crate) fn build<C: ConnectionTrait, E: EntityTrait>(
    db: &C,
    query: Select<E>,
) -> sea_orm::Statement {
    query.build(db.get_database_backend())
}

/// Whether an account can have this name, network and user.
pub(super) fn check_account(name: &str, network: &str, user: &UserId) -> Result<(), StoreError> {
    check_name("name", name)?;
    check_name("network", network)?;
    check_name("user", user.as_str())
}

fn check_name(field: &str, name: &str) -> Result<(), StoreError> {
    let printable = !name.chars().any(is_hidden) && name.trim() == name;
    if name.is_empty() || !printable || name.chars().count() > NAME_MOST {
        return Err(StoreError::Refused(format!(
            "{field}: `{}` is not possible; 1 to {NAME_MOST} characters that can be seen, no blanks \
             around",
            name.chars()
                .take(NAME_MOST)
                .collect::<String>()
                .escape_debug()
        )));
    }
    Ok(())
}
