//! Table `automation_logs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "automation_logs")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) seq: i64,
    pub(crate) automation_id: String,
    pub(crate) execution_id: String,
    pub(crate) account_id: String,
    #[sea_orm(column_name = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) data: Json,
    pub(crate) timestamp: String,
    pub(crate) prev_hash: Option<String>,
    pub(crate) hash: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
