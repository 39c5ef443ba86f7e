//! Migrations: bringing the tables to this version and back.

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseExecutor, DbBackend, DbErr};
use serde::Serialize;
use vigia_migrations::{Migration, Migrator, MigratorTrait};

use super::{Kind, Store, StoreError, postgres};

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// The names of the steps made, in their order; empty when there was nothing to do.
    pub steps: Vec<String>,
}

impl Store {
    /// Makes every step that is not made yet.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a database of a later version, [`StoreError::Unavailable`].
    pub async fn migrate(&self) -> Result<MigrationReport, StoreError> {
        self.migrating(|db| {
            Box::pin(async move {
                let before = applied(db).await?;
                Migrator::up(db, None).await?;
                let mut steps = applied(db).await?;
                steps.retain(|step| !before.contains(step));
                Ok(steps)
            })
        })
        .await
    }

    /// Takes back the last `steps` steps, with all that is in their tables.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn rollback(&self, steps: u32) -> Result<MigrationReport, StoreError> {
        self.migrating(move |db| {
            Box::pin(async move {
                let mut before = applied(db).await?;
                Migrator::down(db, Some(steps)).await?;
                let after = applied(db).await?;
                before.retain(|step| !after.contains(step));
                before.reverse();
                Ok(before)
            })
        })
        .await
    }

    /// The names of the steps that [`Store::migrate`] would make. Makes none, and no table either.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        let pending = self.read(async |db| {
            let pending = Migrator::get_pending_migrations_read_only(db).await;
            pending.map_err(of_migration)
        });
        Ok(names(&pending.await?))
    }

    async fn migrating(
        &self,
        work: impl for<'c> FnOnce(&'c DatabaseConnection) -> BoxFuture<'c, Result<Vec<String>, DbErr>>
        + Send
        + 'static,
    ) -> Result<MigrationReport, StoreError> {
        self.write(Kind::Alone, move |db| {
            Box::pin(async move {
                let DatabaseExecutor::Connection(db) = db else {
                    return Err(StoreError::unavailable("migrations need a connection"));
                };
                let shared = db.get_database_backend() == DbBackend::Postgres;
                if shared {
                    postgres::migrate_alone(db).await?;
                }
                let worked = work(db).await;
                if shared {
                    postgres::let_others_migrate(db).await;
                }
                match worked {
                    Ok(steps) => Ok(MigrationReport { steps }),
                    Err(error) => Err(of_migration(error)),
                }
            })
        })
        .await
    }
}

/// The steps made so far, oldest first.
async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let applied = Migrator::get_applied_migrations_read_only(db).await?;
    Ok(names(&applied))
}

fn names(steps: &[Migration]) -> Vec<String> {
    steps.iter().map(|step| step.name().to_owned()).collect()
}

fn of_migration(error: DbErr) -> StoreError {
    match &error {
        DbErr::Custom(text) if text.contains("its file is missing") => StoreError::Refused(
            "the database was migrated by a later version of vigia: use that version, or restore \
             a backup"
                .to_owned(),
        ),
        _ => error.into(),
    }
}
