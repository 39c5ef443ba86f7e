//! Accounts: one user's API key at the exchange each, sealed.

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
            .table(UserExchangeAccounts::Table)
            .if_not_exists()
            .col(
                ColumnDef::new(UserExchangeAccounts::Id)
                    .text()
                    .not_null()
                    .primary_key(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::UserId)
                    .text()
                    .not_null(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::AccountName)
                    .text()
                    .not_null()
                    .unique_key(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::Network)
                    .text()
                    .not_null(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::Credentials)
                    .text()
                    .not_null(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::IsActive)
                    .boolean()
                    .not_null(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::CreatedAt)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .col(
                ColumnDef::new(UserExchangeAccounts::UpdatedAt)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(UserExchangeAccounts::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

#[derive(DeriveIden)]
pub(crate) enum UserExchangeAccounts {
    Table,
    Id,
    UserId,
    AccountName,
    Network,
    Credentials,
    IsActive,
    CreatedAt,
    UpdatedAt,
}
