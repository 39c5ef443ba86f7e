//! The index by which executions in a state are found finds those of one account, too: what is planned
//! for it counts towards its limits.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const BEFORE: &str = "executions_by_state";
const NOW: &str = "executions_by_state_and_account";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [Executions::State, Executions::AccountId];
        change(manager, BEFORE, NOW, &columns).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        change(manager, NOW, BEFORE, &[Executions::State]).await
    }
}

async fn change(
    manager: &SchemaManager<'_>,
    from: &str,
    to: &str,
    columns: &[Executions],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(to).if_not_exists().table(Executions::Table);
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await?;
    let drop = Index::drop()
        .name(from)
        .table(Executions::Table)
        .if_exists()
        .to_owned();
    manager.drop_index(drop).await
}

#[derive(Clone, Copy, DeriveIden)]
enum Executions {
    Table,
    State,
    AccountId,
}
