//! Protections and notifications: what may be done for an account on one day, how much was added to
//! its margin, how often it failed in a row; and what is to be told to a receiver outside.
//!
//! Executions sent before this step are counted with their number but not with what they added:
//! their amount stands in their action alone. That concerns the day of the step.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const SENT: &str = "executions_sent";
const WAITING: &str = "notifications_waiting";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_column("executions", "added_sats").await? {
            let alter = Table::alter()
                .table(Executions::Table)
                .add_column(ColumnDef::new(Executions::AddedSats).big_integer().null())
                .to_owned();
            manager.alter_table(alter).await?;
        }
        let index = Index::create()
            .name(SENT)
            .if_not_exists()
            .table(Executions::Table)
            .col(Executions::AccountId)
            .col(Executions::SendingAt)
            .to_owned();
        manager.create_index(index).await?;
        manager.create_table(protections()).await?;
        manager.create_table(notifications()).await?;
        let index = Index::create()
            .name(WAITING)
            .if_not_exists()
            .table(Notifications::Table)
            .col(Notifications::State)
            .col(Notifications::AccountId)
            .col(Notifications::Seq)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(Notifications::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await?;
        let table = Table::drop()
            .table(AccountProtections::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await?;
        let index = Index::drop()
            .name(SENT)
            .table(Executions::Table)
            .if_exists()
            .to_owned();
        manager.drop_index(index).await?;
        if manager.has_column("executions", "added_sats").await? {
            let alter = Table::alter()
                .table(Executions::Table)
                .drop_column(Executions::AddedSats)
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}

fn protections() -> TableCreateStatement {
    use AccountProtections as Of;
    Table::create()
        .table(Of::Table)
        .if_not_exists()
        .col(
            ColumnDef::new(Of::AccountId)
                .text()
                .not_null()
                .primary_key(),
        )
        // Null: as configured. 0: none.
        .col(ColumnDef::new(Of::ExecutionsPerDay).big_integer().null())
        .col(ColumnDef::new(Of::SatsPerDay).big_integer().null())
        .col(ColumnDef::new(Of::FailuresInARow).big_integer().null())
        .col(
            ColumnDef::new(Of::Failed)
                .big_integer()
                .not_null()
                .default(0),
        )
        .foreign_key(
            ForeignKey::create()
                .name("protections_account")
                .from(Of::Table, Of::AccountId)
                .to(UserExchangeAccounts::Table, UserExchangeAccounts::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// No foreign key: what is to be told outlives the account that it is about.
fn notifications() -> TableCreateStatement {
    use Notifications as Of;
    Table::create()
        .table(Of::Table)
        .if_not_exists()
        .col(
            ColumnDef::new(Of::Seq)
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new(Of::EventId).text().not_null().unique_key())
        .col(ColumnDef::new(Of::Kind).text().not_null())
        .col(ColumnDef::new(Of::AccountId).text().not_null())
        .col(ColumnDef::new(Of::Body).text().not_null())
        .col(ColumnDef::new(Of::State).text().not_null())
        .col(ColumnDef::new(Of::Attempts).integer().not_null())
        .col(ColumnDef::new(Of::Answer).text().null())
        .col(
            ColumnDef::new(Of::CreatedAt)
                .timestamp_with_time_zone()
                .not_null(),
        )
        .col(
            ColumnDef::new(Of::DueAt)
                .timestamp_with_time_zone()
                .not_null(),
        )
        .col(
            ColumnDef::new(Of::EndedAt)
                .timestamp_with_time_zone()
                .null(),
        )
        .to_owned()
}

#[derive(DeriveIden)]
enum Executions {
    Table,
    AccountId,
    SendingAt,
    AddedSats,
}

#[derive(DeriveIden)]
enum UserExchangeAccounts {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum AccountProtections {
    Table,
    AccountId,
    ExecutionsPerDay,
    SatsPerDay,
    FailuresInARow,
    Failed,
}

#[derive(DeriveIden)]
enum Notifications {
    Table,
    Seq,
    EventId,
    Kind,
    AccountId,
    Body,
    State,
    Attempts,
    Answer,
    CreatedAt,
    DueAt,
    EndedAt,
}
