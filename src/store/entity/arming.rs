//! Table `arming`: what may fire.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "arming")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) automation_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) position_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) rule_version: i64,
    pub(crate) episode: i64,
    pub(crate) state: String,
    pub(crate) execution_id: Option<String>,
    pub(crate) armed_at: DateTimeUtc,
    pub(crate) fired_at: Option<DateTimeUtc>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
