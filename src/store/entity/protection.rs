//! Table `account_protections`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_protections")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: String,
    /// In all three: null as configured, 0 none.
    pub(crate) executions_per_day: Option<i64>,
    pub(crate) sats_per_day: Option<i64>,
    pub(crate) failures_in_a_row: Option<i64>,
    /// How many executions have failed in a row.
    pub(crate) failed: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
