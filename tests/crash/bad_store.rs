//! A database file that cannot be used.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use crate::stage::{Deed, Stage, Windows};
use crate::watchman::run_to_end;

/// Runs to a failure whose error has all these words.
async fn refused(stage: &Stage, words: &[&str]) {
    let output = run_to_end(&mut stage.run()).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for word in [&["error: "], words].concat() {
        assert!(told.contains(word), "no `{word}` in: {told}");
    }
}

/// Another program at the same file.
async fn another_program(stage: &Stage) -> DatabaseConnection {
    let url = format!("sqlite://{}", stage.database().display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let stage = Stage::in_a_file().await;
    let garbage = vec![0x5a; 10_000];
    std::fs::write(stage.database(), &garbage).unwrap();
    refused(&stage, &["vigia.db", "not an SQLite database"]).await;
    assert_eq!(std::fs::read(stage.database()).unwrap(), garbage);
}

#[tokio::test]
async fn a_database_cut_in_the_middle_is_named_and_kept() {
    let stage = Stage::in_a_file().await;
    let whole = std::fs::read(stage.database()).unwrap();
    let cut = &whole[..whole.len() / 2];
    std::fs::write(stage.database(), cut).unwrap();
    refused(&stage, &["vigia.db", "backup"]).await;
}

#[tokio::test]
async fn a_database_that_another_program_locks_is_named_and_usable_when_it_is_free() {
    let stage = Stage::in_a_file().await;
    let other = another_program(&stage).await;
    for statement in ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"] {
        other.execute_unprepared(statement).await.unwrap();
    }
    refused(&stage, &["vigia.db", "locked", "try again"]).await;
    other.close().await.unwrap();

    let watchman = stage.start();
    watchman.until("actor.started").await;
    watchman.stop().await;
}

#[tokio::test]
async fn a_database_that_is_locked_for_writing_at_the_start_is_named() {
    let stage = Stage::in_a_file().await;
    let other = another_program(&stage).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    refused(&stage, &["vigia.db", "locked", "try again"]).await;
}

/// The trigger comes while nothing can be written down, and there is no file of intents: it is carried
/// out when it can, once.
#[tokio::test]
async fn a_lock_while_it_runs_delays_the_execution_and_doubles_nothing() {
    // Less than the database itself waits: the firing is given up, and stands all the same.
    let windows = Windows {
        store_ms: 300,
        ..Windows::default()
    };
    let no_file = "[journal]\nintents_after_ms = 0\n";
    let stage = Stage::configured(None, windows, no_file).await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let other = another_program(&stage).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    stage.endanger(&position);
    let told = watchman.until_where("the store's failure", |line| line["what"] == "store_failed");
    told.await;
    assert!(stage.effects().is_empty());
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    stage.done_once(watchman).await;
}
