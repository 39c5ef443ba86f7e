//! Jobs: requests from outside, for whoever has no Redis.
//!
//! Times are milliseconds since 1970, as BullMQ counts them, and a job waits exactly while it is in
//! state `waiting`: one that is delayed only has its `due_at` still to come.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(jobs()).await?;
        let by_id = Index::create()
            .name("jobs_by_id")
            .if_not_exists()
            .table(Jobs::Table)
            .col(Jobs::Queue)
            .col(Jobs::Id)
            .unique()
            .to_owned();
        manager.create_index(by_id).await?;
        // Holds all that is asked for to choose the next jobs, in the order in which they are taken.
        let by_turn = Index::create()
            .name("jobs_by_turn")
            .if_not_exists()
            .table(Jobs::Table)
            .col(Jobs::Queue)
            .col(Jobs::State)
            .col(Jobs::Priority)
            .col(Jobs::DueAt)
            .col(Jobs::Number)
            .col(Jobs::Automation)
            .to_owned();
        manager.create_index(by_turn).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop().table(Jobs::Table).if_exists().to_owned();
        manager.drop_table(table).await
    }
}

fn jobs() -> TableCreateStatement {
    let mut table = Table::create();
    table.table(Jobs::Table).if_not_exists().col(
        ColumnDef::new(Jobs::Number)
            .big_integer()
            .not_null()
            .auto_increment()
            .primary_key(),
    );
    for text in [Jobs::Queue, Jobs::Id, Jobs::Name, Jobs::Data, Jobs::State] {
        table.col(ColumnDef::new(text).text().not_null());
    }
    for count in [
        Jobs::Priority,
        Jobs::Attempts,
        Jobs::AttemptsMade,
        Jobs::Stalls,
    ] {
        table.col(ColumnDef::new(count).integer().not_null());
    }
    for time in [Jobs::AddedAt, Jobs::FirstDueAt, Jobs::DueAt] {
        table.col(ColumnDef::new(time).big_integer().not_null());
    }
    for optional in [
        Jobs::TakenAt,
        Jobs::FinishedAt,
        Jobs::LeaseUntil,
        Jobs::BackoffMs,
        Jobs::KeepCompleted,
        Jobs::KeepFailed,
    ] {
        table.col(ColumnDef::new(optional).big_integer().null());
    }
    for optional in [
        Jobs::Automation,
        Jobs::Lease,
        Jobs::Backoff,
        Jobs::ReturnValue,
        Jobs::FailedReason,
    ] {
        table.col(ColumnDef::new(optional).text().null());
    }
    table
}

#[derive(DeriveIden)]
enum Jobs {
    Table,
    Number,
    Queue,
    Id,
    Name,
    Data,
    Automation,
    State,
    Priority,
    Attempts,
    AttemptsMade,
    Backoff,
    BackoffMs,
    Stalls,
    KeepCompleted,
    KeepFailed,
    AddedAt,
    FirstDueAt,
    DueAt,
    TakenAt,
    FinishedAt,
    Lease,
    LeaseUntil,
    ReturnValue,
    FailedReason,
}
