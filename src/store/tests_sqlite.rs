//! The store in a file: what SQLite alone has.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use super::testing::{Fixture, at};
use super::tests::new_account;
use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn settings(db: &DatabaseConnection) -> Result<Vec<String>, StoreError> {
    let mut found = vec![];
    for pragma in [
        "journal_mode",
        "synchronous",
        "foreign_keys",
        "busy_timeout",
    ] {
        let sql = format!("SELECT CAST((SELECT * FROM pragma_{pragma}) AS TEXT) AS it");
        let query = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(query).await?.unwrap();
        found.push(row.try_get("", "it")?);
    }
    Ok(found)
}

#[tokio::test]
async fn file_and_folder_are_made_for_their_owner_only_and_every_connection_is_configured() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("deep/data ?%20/vigia.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let store = Store::open(&url, None).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
    let expected = ["wal", "2", "1", "4000"];
    for _ in 0..8 {
        assert_eq!(store.read(settings).await.unwrap(), expected);
    }
    let reads = join_all((0..8).map(|_| store.read(settings))).await;
    assert!(reads.into_iter().all(|found| found.unwrap() == expected));
    let written = store.write(Kind::Alone, move |db| {
        Box::pin(async move {
            let DatabaseExecutor::Connection(db) = db else {
                panic!("a connection");
            };
            settings(db).await
        })
    });
    assert_eq!(written.await.unwrap(), expected);
    let refused = store.read(async |db| {
        Ok::<_, StoreError>(db.execute_unprepared("DELETE FROM automations").await?)
    });
    assert!(refused.await.is_err(), "a reader must not write");
    store.close().await;
}

#[tokio::test]
async fn what_is_no_sqlite_file_is_refused_and_nothing_half_made_stays() {
    let folder = tempfile::tempdir().unwrap();
    for (url, says) in [
        ("postgres://u:hunter2@h:0x/db", "%XX"),
        ("postgresql://h:0x/db", "%XX"),
        ("mysql://u:hunter2@h/db", "not the address"),
        ("u:hunter2@h/db", "not the address"),
        ("garbage", "not the address"),
        ("", "not the address"),
        ("sqlite::memory:", "must be a file"),
        ("sqlite:", "must be a file"),
    ] {
        let error = Store::open(url, None).await.unwrap_err().to_string();
        assert!(
            error.contains(says) && !error.contains("hunter2"),
            "{error}"
        );
    }
    let text = folder.path().join("letter.txt");
    std::fs::write(&text, "not a database, but dear to its owner: ".repeat(100)).unwrap();
    let before = std::fs::read(&text).unwrap();
    let error = Store::open(text.to_str().unwrap(), None).await.unwrap_err();
    assert!(
        error.to_string().contains("not an SQLite database"),
        "{error}"
    );
    assert_eq!(std::fs::read(&text).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    // A file whose write-ahead log cannot be made: opening fails after the file was made.
    let path = folder.path().join("new/vigia.db");
    std::fs::create_dir(folder.path().join("new")).unwrap();
    std::fs::create_dir(folder.path().join("new/vigia.db-wal")).unwrap();
    let error = Store::open(path.to_str().unwrap(), None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(!path.exists(), "half a database was left behind");
}

#[tokio::test]
async fn a_locked_database_is_unavailable_in_time_and_what_nobody_waits_for_is_not_made() {
    let fixture = Fixture::in_a_file().await;
    let other = fixture.second().await;
    let hasty = fixture.store.with_patience(Duration::from_millis(150));
    let (held, release) = (
        tokio::sync::oneshot::channel(),
        tokio::sync::oneshot::channel(),
    );
    let locking = other.write(Kind::Several, move |db| {
        Box::pin(async move {
            let made = db
                .execute_unprepared("UPDATE owners SET epoch = epoch")
                .await?;
            let _ = held.0.send(());
            let _ = release.1.await;
            Ok::<_, StoreError>(made.rows_affected())
        })
    });
    let waiting = async {
        held.1.await.unwrap();
        for name in ["first", "second"] {
            let error = hasty.add_account(new_account(name), at(1)).await;
            let error = error.unwrap_err().to_string();
            assert!(error.contains("no answer within 150 ms"), "{error}");
        }
        assert!(
            hasty.accounts().await.unwrap().rows.is_empty(),
            "readers go on"
        );
        release.0.send(()).unwrap();
        // By itself, so that `second` does not share a batch with `third`.
        fixture.sql("SELECT 1").await;
        fixture.account("third").await
    };
    let (locked, _) = tokio::join!(locking, waiting);
    locked.unwrap();
    let names = fixture.store.accounts().await.unwrap().rows;
    let names: Vec<_> = names.iter().map(|account| account.name.as_str()).collect();
    assert!(
        names.contains(&"third") && !names.contains(&"second"),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_lock_held_for_longer_than_sqlite_waits_is_named() {
    let fixture = Fixture::in_a_file().await;
    fixture.sql("PRAGMA busy_timeout = 20").await;
    let other = fixture.second().await;
    let (held, release) = (
        tokio::sync::oneshot::channel(),
        tokio::sync::oneshot::channel(),
    );
    let locking = other.write(Kind::Several, move |_| {
        Box::pin(async move {
            let _ = held.0.send(());
            let _ = release.1.await;
            Ok::<_, StoreError>(())
        })
    });
    let waiting = async {
        held.1.await.unwrap();
        let error = fixture.store.add_account(new_account("a"), at(1)).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("another process holds the database locked"),
            "{error}"
        );
        release.0.send(()).unwrap();
    };
    let (locked, ()) = tokio::join!(locking, waiting);
    locked.unwrap();
    fixture.account("a").await;
}

#[tokio::test]
async fn when_sqlite_rolls_back_by_itself_the_whole_batch_is_told_and_the_next_one_stands() {
    let fixture = Fixture::in_a_file().await;
    // What SQLite does on a failing disk: the transaction is gone, savepoints and all.
    let lost = || {
        fixture.store.write(Kind::Several, |db| {
            Box::pin(async move {
                db.execute_unprepared("ROLLBACK").await?;
                Err::<(), _>(StoreError::unavailable("the disk fails"))
            })
        })
    };
    assert_eq!(lost().await, Err(StoreError::unavailable("the disk fails")));
    let alone = fixture.account("alone").await;
    fixture.automation(&alone).await;
    let store = &fixture.store;
    let (before, lost, after) = tokio::join!(
        store.add_account(new_account("before"), at(1)),
        lost(),
        store.add_account(new_account("after"), at(1))
    );
    assert_eq!(lost, Err(StoreError::unavailable("the disk fails")));
    let stored = store.accounts().await.unwrap().rows;
    let stands = |name: &str| stored.iter().any(|account| account.name == name);
    for (name, answer) in [("before", before), ("after", after)] {
        assert_eq!(answer.is_ok(), stands(name), "{name}: {answer:?}");
    }
    fixture.automation(&alone).await;
    // A connection that believes to be in the lost transaction still would only make a savepoint,
    // which locks nothing.
    let other = fixture.second().await;
    let other = other.with_patience(Duration::from_millis(100));
    let locked = store.write(Kind::Several, move |_| {
        Box::pin(async move {
            let refused = other
                .add_account(new_account("other"), at(1))
                .await
                .is_err();
            Ok::<_, StoreError>(refused)
        })
    });
    assert!(locked.await.unwrap(), "the transaction does not lock");
}

#[tokio::test]
async fn a_full_disk_undoes_the_batch_and_no_more() {
    let fixture = Fixture::in_a_file().await;
    fixture.account("before").await;
    // No page more: as if the disk were full.
    fixture.sql("PRAGMA max_page_count = 1").await;
    let big = "{\"n\": \"".to_owned() + &"x".repeat(200_000) + "\"}";
    let filling = |store: Store| {
        let big = big.clone();
        async move {
            store
                .write(Kind::Several, move |db| {
                    Box::pin(async move {
                        db.execute_unprepared(&format!(
                            "UPDATE user_exchange_accounts SET credentials = '{big}'"
                        ))
                        .await?;
                        Ok::<_, StoreError>(())
                    })
                })
                .await
        }
    };
    let before = fixture.store.accounts().await.unwrap().rows;
    let (full, also) = tokio::join!(
        filling(fixture.store.clone()),
        fixture.store.set_account_active("before", false, at(7))
    );
    let full = full.unwrap_err().to_string();
    assert!(full.contains("disk is full"), "{full}");
    let after = fixture.store.accounts().await.unwrap().rows;
    assert_eq!(
        after[0].is_active,
        also.is_err(),
        "an answer and the row differ"
    );
    fixture.sql("PRAGMA max_page_count = 1000000").await;
    filling(fixture.store.clone()).await.unwrap();
    assert_eq!(before.len(), 1);
}
