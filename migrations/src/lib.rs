//! The schema of vigia's store, as one set of migrations.
//!
//! Every step can be run again (`if not exists`), goes up and down, and says nothing that only one
//! of SQLite and PostgreSQL understands; each runs in a transaction of its own, so that a step that
//! fails leaves nothing behind.

mod m0001_accounts;
mod m0002_automations;
mod m0003_executions;
mod m0004_audit;
mod m0005_owners;
mod m0006_jobs;
mod m0007_leases;
mod m0008_successions;
mod m0009_socket_attempts;
mod m0010_kill_switches;
mod m0011_protections;
mod m0012_pauses;
mod m0013_planned;

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::{Migration, MigratorTrait};

/// All steps, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_automations::Migration),
            Box::new(m0003_executions::Migration),
            Box::new(m0004_audit::Migration),
            Box::new(m0005_owners::Migration),
            Box::new(m0006_jobs::Migration),
            Box::new(m0007_leases::Migration),
            Box::new(m0008_successions::Migration),
            Box::new(m0009_socket_attempts::Migration),
            Box::new(m0010_kill_switches::Migration),
            Box::new(m0011_protections::Migration),
            Box::new(m0012_pauses::Migration),
            Box::new(m0013_planned::Migration),
        ]
    }
}
