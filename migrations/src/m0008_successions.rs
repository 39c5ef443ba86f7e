//! Successions: which trade took another's place, and the index by which an automation's executions
//! are counted.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const BY_AUTOMATION: &str = "executions_by_automation";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table.table(Successions::Table).if_not_exists();
        for (mut column, key) in [
            (ColumnDef::new(Successions::SuccessorId), true),
            (ColumnDef::new(Successions::PredecessorId), false),
            (ColumnDef::new(Successions::AccountId), false),
            (ColumnDef::new(Successions::ExecutionId), false),
        ] {
            column.text().not_null();
            if key {
                column.primary_key();
            }
            table.col(column);
        }
        table.col(
            ColumnDef::new(Successions::CreatedAt)
                .timestamp_with_time_zone()
                .not_null(),
        );
        manager.create_table(table).await?;
        manager
            .create_index(
                Index::create()
                    .name("successions_by_account")
                    .if_not_exists()
                    .table(Successions::Table)
                    .col(Successions::AccountId)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name(BY_AUTOMATION)
                    .if_not_exists()
                    .table(Executions::Table)
                    .col(Executions::AutomationId)
                    .col(Executions::CreatedAt)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop()
            .name(BY_AUTOMATION)
            .if_exists()
            .table(Executions::Table)
            .to_owned();
        manager.drop_index(index).await?;
        let table = Table::drop()
            .table(Successions::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

#[derive(DeriveIden)]
enum Successions {
    Table,
    SuccessorId,
    PredecessorId,
    AccountId,
    ExecutionId,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Executions {
    Table,
    AutomationId,
    CreatedAt,
}
