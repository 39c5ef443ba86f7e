//! Table `notifications`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) seq: i64,
    pub(crate) event_id: String,
    pub(crate) kind: String,
    /// Empty where it is about no account.
    pub(crate) account_id: String,
    /// As it is sent, to the byte.
    pub(crate) body: String,
    pub(crate) state: String,
    pub(crate) attempts: i32,
    /// What the receiver answered last, or why there was no answer.
    pub(crate) answer: Option<String>,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) due_at: DateTimeUtc,
    pub(crate) ended_at: Option<DateTimeUtc>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
