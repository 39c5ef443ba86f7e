//! One file of SQLite: one process works with it, and what is written to it is found there.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::simulator::LedgerKind;

use crate::outage::{acted, journal};
use crate::scrape::{Scrape, until};
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{SOON, Watchman, run_to_end, vigia};

/// Small enough to be made in no time.
const SMALL_FILE: &str = "[journal]\nintents_kib = 512\n";

/// In whatever folder the second one lives.
#[tokio::test]
async fn a_second_process_is_kept_out_of_the_file_and_a_standby_waits_for_it() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let key = stage.settings().key_file();
    let in_its_place = |mut command: std::process::Command| {
        let url = format!("sqlite://{}", stage.database().display());
        command.env("DATABASE_URL", url).env("VIGIA_KEY_FILE", &key);
        command
    };
    let mut second = in_its_place(stage.run_in(elsewhere.path()));
    let output = run_to_end(&mut second).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let holder = format!("pid {}", watchman.pid());
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [&*holder, "works with the database", "vigia.db"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut migrate = vigia();
    migrate
        .arg("migrate")
        .arg("--data-dir")
        .arg(elsewhere.path());
    let output = run_to_end(&mut in_its_place(migrate)).await;
    assert_eq!(output.status.code(), Some(1), "its tables are left alone");

    let mut standby = stage.run_in(elsewhere.path());
    standby.arg("--standby");
    let standby = Watchman::of(in_its_place(standby), stage.clock);
    let waits = standby.until("ownership.waiting").await;
    assert!(
        waits["holder"].as_str().unwrap().contains(&holder),
        "{waits}"
    );
    watchman.kill().await;
    standby.until_armed(1).await;
    assert_eq!(standby.count("ownership.taken"), 1);
    standby.stop().await;
}

/// SQLite goes on writing to a file that nobody finds any more.
#[tokio::test]
async fn while_the_file_is_away_guards_go_on_elsewhere_and_it_is_told() {
    let stage = Stage::configured(None, Windows::default(), SMALL_FILE).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(2).await;
    let aside = stage.data_dir().join("aside.db");
    std::fs::rename(stage.database(), &aside).unwrap();
    stage.endanger(&added);
    stage.endanger(&closed);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    let told = watchman.until("journal.degraded").await;
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .contains("moved, removed or replaced"),
        "{told}"
    );
    watchman.until("store.failed").await;
    assert_eq!(journal(&stage).await, "in_file");
    until("a figure of it", &watchman, || async {
        let scrape = Scrape::of(&stage).await;
        (scrape.value("vigia_store_up", &[]) == Some(0.0)).then_some(())
    })
    .await;
    let refused = stage.cli(&["account", "pause", "alice"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");

    std::fs::rename(&aside, stage.database()).unwrap();
    let recovered = watchman.until("journal.recovered").await;
    assert_eq!(recovered["kept"], 2);
    tokio::time::timeout(Duration::from_secs(30), async {
        let books = stage.agree_after_stop(watchman).await;
        assert_eq!(books.states(), [State::Done; 2]);
    })
    .await
    .unwrap();
}

/// Somebody has let another process in: it takes over, and the earlier one ends and says by whom.
async fn is_superseded(stage: Stage, mut first: Watchman, position: &Position) {
    let second = stage.start();
    second.until_armed(1).await;
    let lost = first.until("ownership.lost").await;
    let holder = format!("pid {}", second.pid());
    assert!(lost["holder"].as_str().unwrap().contains(&holder), "{lost}");
    assert_eq!(first.ended(SOON).await.code(), Some(1));
    // The other one is found still.
    stage.cli(&["health"]).await.ok();
    stage.endanger(position);
    acted(&stage, &second, position, LedgerKind::MarginAdded, 1).await;
    let books = stage.agree_after_stop(second).await;
    assert_eq!(books.states(), [State::Done]);
}

/// A lock's file looks like something left behind.
#[tokio::test]
async fn who_is_superseded_although_a_lock_was_to_prevent_it_ends_and_says_by_whom() {
    let stage = Stage::in_a_file().await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let first = stage.start();
    first.until_armed(1).await;
    for name in ["vigia.lock", "vigia.db-lock"] {
        std::fs::remove_file(stage.data_dir().join(name)).unwrap();
    }
    is_superseded(stage, first, &position).await;
}

/// As somebody restores a backup who has not stopped the service: the claim of the other one cannot be
/// read, and each would go on guarding.
#[tokio::test]
async fn who_is_superseded_in_a_folder_that_was_made_anew_ends_too() {
    let stage = Stage::in_a_file().await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let first = stage.start();
    first.until_armed(1).await;
    let database = stage.database();
    let backup = stage.data_dir().join("backup");
    let url = format!("sqlite://{}?mode=rw", database.display());
    let other = Database::connect(url).await.unwrap();
    let copied = format!("VACUUM INTO '{}'", backup.display());
    other.execute_unprepared(&copied).await.unwrap();
    other.close().await.unwrap();
    for name in [
        "vigia.db-wal",
        "vigia.db-shm",
        "vigia.db-lock",
        "vigia.lock",
    ] {
        std::fs::remove_file(stage.data_dir().join(name)).unwrap();
    }
    std::fs::rename(&backup, &database).unwrap();
    is_superseded(stage, first, &position).await;
}
