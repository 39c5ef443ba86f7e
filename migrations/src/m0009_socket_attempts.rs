//! Attempts to open sockets: the exchange counts those of the last hour, also those of a process
//! that is gone.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table.table(SocketAttempts::Table).if_not_exists();
        let mut id = ColumnDef::new(SocketAttempts::Id);
        table.col(id.text().not_null().primary_key());
        for name in [SocketAttempts::Host, SocketAttempts::Egress] {
            table.col(ColumnDef::new(name).text().not_null());
        }
        table.col(ColumnDef::new(SocketAttempts::Login).boolean().not_null());
        table.col(
            ColumnDef::new(SocketAttempts::MadeAt)
                .timestamp_with_time_zone()
                .not_null(),
        );
        manager.create_table(table).await?;
        manager
            .create_index(
                Index::create()
                    .name("socket_attempts_by_time")
                    .if_not_exists()
                    .table(SocketAttempts::Table)
                    .col(SocketAttempts::MadeAt)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(SocketAttempts::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

#[derive(Clone, Copy, DeriveIden)]
enum SocketAttempts {
    Table,
    Id,
    Host,
    Egress,
    Login,
    MadeAt,
}
