//! Leases: where several machines share the database, ownership ends by itself unless renewed.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut instance = ColumnDef::new(Owners::Instance);
        instance.text().not_null().default("");
        let mut expires_at = ColumnDef::new(Owners::ExpiresAt);
        expires_at.timestamp_with_time_zone().null();
        for column in [&mut instance, &mut expires_at] {
            let name = column.get_column_name();
            if !manager.has_column(Owners::Table.to_string(), name).await? {
                let table = Table::alter()
                    .table(Owners::Table)
                    .add_column(column)
                    .to_owned();
                manager.alter_table(table).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [Owners::ExpiresAt, Owners::Instance] {
            let table = Owners::Table.to_string();
            if manager.has_column(table, column.to_string()).await? {
                let table = Table::alter()
                    .table(Owners::Table)
                    .drop_column(column)
                    .to_owned();
                manager.alter_table(table).await?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, DeriveIden)]
enum Owners {
    Table,
    Instance,
    ExpiresAt,
}
