//! The audit log: one entry for each executed action, numbered in the order of writing.

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
            .table(AutomationLogs::Table)
            .if_not_exists()
            .col(
                ColumnDef::new(AutomationLogs::Seq)
                    .big_integer()
                    .not_null()
                    .auto_increment()
                    .primary_key(),
            )
            .col(
                ColumnDef::new(AutomationLogs::AutomationId)
                    .text()
                    .not_null(),
            )
            .col(
                ColumnDef::new(AutomationLogs::ExecutionId)
                    .text()
                    .not_null()
                    .unique_key(),
            )
            .col(ColumnDef::new(AutomationLogs::AccountId).text().not_null())
            .col(ColumnDef::new(AutomationLogs::Type).text().not_null())
            .col(ColumnDef::new(AutomationLogs::Message).text().not_null())
            .col(ColumnDef::new(AutomationLogs::Data).json().not_null())
            .col(ColumnDef::new(AutomationLogs::Timestamp).text().not_null())
            // Reserved for the hash chain that will prove edits, gaps and a cut tail.
            .col(ColumnDef::new(AutomationLogs::PrevHash).text().null())
            .col(ColumnDef::new(AutomationLogs::Hash).text().null())
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("automation_logs_by_account")
            .if_not_exists()
            .table(AutomationLogs::Table)
            .col(AutomationLogs::AccountId)
            .col(AutomationLogs::Seq)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(AutomationLogs::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

#[derive(DeriveIden)]
enum AutomationLogs {
    Table,
    Seq,
    AutomationId,
    ExecutionId,
    AccountId,
    Type,
    Message,
    Data,
    Timestamp,
    PrevHash,
    Hash,
}
