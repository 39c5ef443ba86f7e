//! Kill switches: what must not be sent, however well founded; and whether an execution protects a
//! position, which a switch may leave alone.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_column("executions", "protective").await? {
            let column = ColumnDef::new(Executions::Protective)
                .boolean()
                .not_null()
                .default(false)
                .to_owned();
            let alter = Table::alter()
                .table(Executions::Table)
                .add_column(column)
                .to_owned();
            manager.alter_table(alter).await?;
        }
        let table = Table::create()
            .table(KillSwitches::Table)
            .if_not_exists()
            .col(ColumnDef::new(KillSwitches::Scope).text().not_null())
            .col(ColumnDef::new(KillSwitches::Target).text().not_null())
            .col(
                ColumnDef::new(KillSwitches::AllowsProtective)
                    .boolean()
                    .not_null(),
            )
            .col(ColumnDef::new(KillSwitches::Reason).text().null())
            .col(
                ColumnDef::new(KillSwitches::Since)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .primary_key(
                Index::create()
                    .col(KillSwitches::Scope)
                    .col(KillSwitches::Target),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(KillSwitches::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await?;
        if manager.has_column("executions", "protective").await? {
            let alter = Table::alter()
                .table(Executions::Table)
                .drop_column(Executions::Protective)
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Executions {
    Table,
    Protective,
}

#[derive(DeriveIden)]
enum KillSwitches {
    Table,
    Scope,
    Target,
    AllowsProtective,
    Reason,
    Since,
}
