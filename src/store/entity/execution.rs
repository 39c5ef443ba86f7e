//! Table `executions`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "executions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) trigger_key: String,
    pub(crate) source: String,
    pub(crate) automation_id: String,
    pub(crate) account_id: String,
    pub(crate) user_id: String,
    pub(crate) position_id: String,
    pub(crate) rule_version: i64,
    pub(crate) episode: i64,
    pub(crate) state: String,
    pub(crate) action: Json,
    pub(crate) decision: Json,
    pub(crate) before: Option<Json>,
    pub(crate) attempts: i32,
    pub(crate) reason: Option<String>,
    pub(crate) evidence: Option<Json>,
    pub(crate) outcome: Option<Json>,
    pub(crate) epoch: Option<i64>,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) sending_at: Option<DateTimeUtc>,
    pub(crate) finished_at: Option<DateTimeUtc>,
    pub(crate) protective: bool,
    /// What it adds to margin, in satoshis; null where it adds none.
    pub(crate) added_sats: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
