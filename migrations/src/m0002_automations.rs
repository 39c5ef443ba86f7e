//! Automations: the stored rules of accounts. An account that has any cannot be deleted.

use sea_orm_migration::prelude::*;

use crate::m0001_accounts::UserExchangeAccounts;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Automations::Table)
            .if_not_exists()
            .col(
                ColumnDef::new(Automations::Id)
                    .text()
                    .not_null()
                    .primary_key(),
            )
            .col(ColumnDef::new(Automations::UserId).text().not_null())
            .col(ColumnDef::new(Automations::AccountId).text().not_null())
            .col(ColumnDef::new(Automations::Type).text().not_null())
            .col(ColumnDef::new(Automations::Config).json().not_null())
            .col(ColumnDef::new(Automations::IsActive).boolean().not_null())
            .col(ColumnDef::new(Automations::Live).boolean().not_null())
            .col(
                ColumnDef::new(Automations::RuleVersion)
                    .big_integer()
                    .not_null()
                    .default(1),
            )
            .col(
                ColumnDef::new(Automations::CreatedAt)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .col(
                ColumnDef::new(Automations::UpdatedAt)
                    .timestamp_with_time_zone()
                    .not_null(),
            )
            .foreign_key(
                ForeignKey::create()
                    .name("automations_account")
                    .from(Automations::Table, Automations::AccountId)
                    .to(UserExchangeAccounts::Table, UserExchangeAccounts::Id)
                    .on_delete(ForeignKeyAction::Restrict),
            )
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("automations_by_account")
            .if_not_exists()
            .table(Automations::Table)
            .col(Automations::AccountId)
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::drop()
            .table(Automations::Table)
            .if_exists()
            .to_owned();
        manager.drop_table(table).await
    }
}

#[derive(DeriveIden)]
pub(crate) enum Automations {
    Table,
    Id,
    UserId,
    AccountId,
    Type,
    Config,
    IsActive,
    Live,
    RuleVersion,
    CreatedAt,
    UpdatedAt,
}
