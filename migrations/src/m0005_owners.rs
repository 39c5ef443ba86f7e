//! Owners: which process trades, under a number that only ever grows.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Owners::Table)
            .if_not_exists()
            .col(ColumnDef::new(Owners::Name).text().not_null().primary_key())
            .col(ColumnDef::new(Owners::Holder).text().not_null())
            .col(ColumnDef::new(Owners::Epoch).big_integer().not_null())
            .col(
                ColumnDef::new(Owners::ClaimedAt)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table(Owners::Table).if_exists().to_owned();
        manager.drop_table(table).await
    }
}

#[derive(DeriveIden)]
enum Owners {
    Table,
    Name,
    Holder,
    Epoch,
    ClaimedAt,
}
