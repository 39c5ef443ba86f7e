//! Table `kill_switches`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "kill_switches")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) scope: String,
    /// The id of what it is for; empty where it is for everything.
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) target: String,
    pub(crate) allows_protective: bool,
    pub(crate) reason: Option<String>,
    pub(crate) since: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
