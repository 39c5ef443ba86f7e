//! Executions, from intent to outcome, and the arming that says what may fire.
//!
//! Executions have no foreign keys on purpose: they outlive the automation that caused them.
//! Arming does not: it goes with its automation.

use sea_orm_migration::prelude::*;

use crate::m0002_automations::Automations;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(executions()).await?;
        for (name, columns) in [
            ("executions_by_state", vec![Executions::State]),
            (
                "executions_by_account",
                vec![Executions::AccountId, Executions::CreatedAt],
            ),
        ] {
            let mut index = Index::create();
            index.name(name).if_not_exists().table(Executions::Table);
            for column in columns {
                index.col(column);
            }
            manager.create_index(index).await?;
        }
        manager.create_table(arming()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table(Arming::Table).if_exists().to_owned();
        manager.drop_table(table).await?;
        let table = Table::drop()
            .table(Executions::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

fn executions() -> TableCreateStatement {
    Table::create()
        .table(Executions::Table)
        .if_not_exists()
        .col(
            ColumnDef::new(Executions::Id)
                .text()
                .not_null()
                .primary_key(),
        )
        .col(
            ColumnDef::new(Executions::TriggerKey)
                .text()
                .not_null()
                .unique_key(),
        )
        .col(ColumnDef::new(Executions::Source).text().not_null())
        .col(ColumnDef::new(Executions::AutomationId).text().not_null())
        .col(ColumnDef::new(Executions::AccountId).text().not_null())
        .col(ColumnDef::new(Executions::UserId).text().not_null())
        .col(ColumnDef::new(Executions::PositionId).text().not_null())
        .col(
            ColumnDef::new(Executions::RuleVersion)
                .big_integer()
                .not_null(),
        )
        .col(ColumnDef::new(Executions::Episode).big_integer().not_null())
        .col(ColumnDef::new(Executions::State).text().not_null())
        .col(ColumnDef::new(Executions::Action).json().not_null())
        .col(ColumnDef::new(Executions::Decision).json().not_null())
        .col(ColumnDef::new(Executions::Before).json().null())
        .col(ColumnDef::new(Executions::Attempts).integer().not_null())
        .col(ColumnDef::new(Executions::Reason).text().null())
        .col(ColumnDef::new(Executions::Evidence).json().null())
        .col(ColumnDef::new(Executions::Outcome).json().null())
        .col(ColumnDef::new(Executions::Epoch).big_integer().null())
        .col(
            ColumnDef::new(Executions::CreatedAt)
                .timestamp_with_time_zone()
                .not_null(),
        )
        .col(
            ColumnDef::new(Executions::SendingAt)
                .timestamp_with_time_zone()
                .null(),
        )
        .col(
            ColumnDef::new(Executions::FinishedAt)
                .timestamp_with_time_zone()
                .null(),
        )
        .to_owned()
}

fn arming() -> TableCreateStatement {
    Table::create()
        .table(Arming::Table)
        .if_not_exists()
        .col(ColumnDef::new(Arming::AutomationId).text().not_null())
        .col(ColumnDef::new(Arming::PositionId).text().not_null())
        .col(ColumnDef::new(Arming::RuleVersion).big_integer().not_null())
        .col(ColumnDef::new(Arming::Episode).big_integer().not_null())
        .col(ColumnDef::new(Arming::State).text().not_null())
        .col(ColumnDef::new(Arming::ExecutionId).text().null())
        .col(
            ColumnDef::new(Arming::ArmedAt)
                .timestamp_with_time_zone()
                .not_null(),
        )
        .col(
            ColumnDef::new(Arming::FiredAt)
                .timestamp_with_time_zone()
                .null(),
        )
        .primary_key(
            Index::create()
                .col(Arming::AutomationId)
                .col(Arming::PositionId)
                .col(Arming::RuleVersion),
        )
        .foreign_key(
            ForeignKey::create()
                .name("arming_automation")
                .from(Arming::Table, Arming::AutomationId)
                .to(Automations::Table, Automations::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

#[derive(DeriveIden)]
enum Executions {
    Table,
    Id,
    TriggerKey,
    Source,
    AutomationId,
    AccountId,
    UserId,
    PositionId,
    RuleVersion,
    Episode,
    State,
    Action,
    Decision,
    Before,
    Attempts,
    Reason,
    Evidence,
    Outcome,
    Epoch,
    CreatedAt,
    SendingAt,
    FinishedAt,
}

#[derive(DeriveIden)]
enum Arming {
    Table,
    AutomationId,
    PositionId,
    RuleVersion,
    Episode,
    State,
    ExecutionId,
    ArmedAt,
    FiredAt,
}
