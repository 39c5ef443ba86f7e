//! Table `user_exchange_accounts`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user_exchange_accounts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) account_name: String,
    pub(crate) network: String,
    /// Sealed, see the vault.
    pub(crate) credentials: String,
    pub(crate) is_active: bool,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) updated_at: DateTimeUtc,
    /// Null while it is not paused, as are the two that follow.
    pub(crate) paused_since: Option<DateTimeUtc>,
    pub(crate) paused_reason: Option<String>,
    pub(crate) paused_by: Option<String>,
    /// Raised by every change of the credentials, from 1.
    pub(crate) credentials_version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
