//! Accounts that are paused: since when, why, and by whom. And how often an account's credentials
//! were changed, so that whoever uses them sees that there are others.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "user_exchange_accounts";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, mut column) in columns() {
            if !manager.has_column(TABLE, name).await? {
                let alter = Table::alter()
                    .table(TABLE)
                    .add_column(&mut column)
                    .to_owned();
                manager.alter_table(alter).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in columns() {
            if manager.has_column(TABLE, name).await? {
                let alter = Table::alter().table(TABLE).drop_column(name).to_owned();
                manager.alter_table(alter).await?;
            }
        }
        Ok(())
    }
}

/// One statement each: SQLite changes one column at a time.
fn columns() -> [(&'static str, ColumnDef); 4] {
    let column = |name: &'static str| (name, ColumnDef::new(name));
    let mut columns = [
        column("paused_since"),
        column("paused_reason"),
        column("paused_by"),
        column("credentials_version"),
    ];
    columns[0].1.timestamp_with_time_zone().null();
    columns[1].1.text().null();
    columns[2].1.text().null();
    columns[3].1.big_integer().not_null().default(1);
    columns
}
