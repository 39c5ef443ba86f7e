//! The store against a real SQLite file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use serde_json::json;

use super::testing::{Fixture, at, guard};
use super::*;
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, AutomationId, UserId};
use crate::domain::rules::RuleKind;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        user_id: UserId::new("user-1"),
        name: name.to_owned(),
        network: "simulator".to_owned(),
        credentials: Credentials::new("key", "secret", "passphrase"),
    }
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
        ("postgres://u:hunter2@h/db", "later version"),
        ("postgresql://h/db", "later version"),
        ("mysql://h/db", "not known"),
        ("sqlite::memory:", "must be a file"),
        ("", "must be a file"),
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
async fn migrations_go_up_down_and_up_and_say_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vigia.db");
    let store = Store::open(path.to_str().unwrap(), None).await.unwrap();
    let error = store.accounts().await.unwrap_err();
    assert!(error.to_string().contains("vigia migrate"), "{error}");
    let all = store.pending_migrations().await.unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!(store.migrate().await.unwrap().steps, all);
    assert_eq!(store.migrate().await.unwrap().steps, Vec::<String>::new());
    let last: Vec<_> = all.iter().rev().take(2).cloned().collect();
    assert_eq!(store.rollback(2).await.unwrap().steps, last);
    assert_eq!(store.pending_migrations().await.unwrap(), all[4..]);
    assert_eq!(store.migrate().await.unwrap().steps, all[3..]);
    assert_eq!(store.rollback(5).await.unwrap().steps.len(), 5);
    assert_eq!(store.migrate().await.unwrap().steps, all);
    assert!(store.accounts().await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused() {
    let fixture = Fixture::new().await;
    fixture
        .sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)")
        .await;
    for error in [
        fixture.store.migrate().await.unwrap_err(),
        fixture.store.pending_migrations().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("later version"), "{error}");
    }
}

#[tokio::test]
async fn accounts_are_found_by_id_or_name_and_only_the_vault_opens_them() {
    let fixture = Fixture::new().await;
    let (store, main) = (&fixture.store, fixture.account("main").await);
    // A name that is another account's id does not hide that account.
    let sly = store
        .add_account(new_account(main.id.as_str()), at(5))
        .await
        .unwrap();
    assert_eq!(store.account("main").await.unwrap(), main);
    assert_eq!(store.account(main.id.as_str()).await.unwrap(), main);
    assert_eq!(store.account(sly.id.as_str()).await.unwrap(), sly);
    let credentials = store.credentials(&main.id).await.unwrap();
    assert_eq!(credentials.secret.expose_secret(), "secret");
    let taken = store.add_account(new_account("main"), at(5)).await;
    assert_eq!(
        taken.unwrap_err(),
        StoreError::Exists {
            what: "account",
            name: "main".into()
        }
    );
    let blank = store.add_account(new_account(" main"), at(5)).await;
    assert!(matches!(blank, Err(StoreError::Refused(_))));
    let none = store.account("nobody").await.unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no account `nobody`: see `vigia account list`"
    );
    let off = store
        .set_account_active("main", false, at(9))
        .await
        .unwrap();
    assert!(!off.is_active && off.updated_at == at(9));
    assert_eq!(store.account("main").await.unwrap(), off);

    let file = std::fs::read(fixture.path().with_extension("db-wal")).unwrap();
    let clear = file.windows(10).any(|window| window == b"passphrase");
    assert!(!clear, "credentials stand in clear in the file");
    fixture
        .sql(&format!(
            "UPDATE user_exchange_accounts SET credentials = \
             (SELECT credentials FROM user_exchange_accounts WHERE id = '{}') WHERE id = '{}'",
            main.id, sly.id
        ))
        .await;
    let moved = store.credentials(&sly.id).await.unwrap_err();
    assert!(matches!(
        moved,
        StoreError::Vault(VaultError::CannotOpen { .. })
    ));
    let without = Store::open(fixture.path().to_str().unwrap(), None)
        .await
        .unwrap();
    let error = without.credentials(&main.id).await.unwrap_err();
    assert_eq!(error, StoreError::Vault(VaultError::NoKey));
}

#[tokio::test]
async fn only_rules_that_can_be_obeyed_are_stored_and_all_that_is_wrong_is_told() {
    let fixture = Fixture::new().await;
    let account = fixture.account("main").await;
    let new = |config| NewAutomation {
        account: account.id.clone(),
        kind: RuleKind::MarginGuard,
        config,
        live: false,
        active: false,
    };
    let wrong = json!({"action": "dance", "margin_threshold": 0, "colour": "red"});
    let error = fixture.store.add_automation(new(wrong), at(3)).await;
    let error = error.unwrap_err().to_string();
    for field in ["action", "margin_threshold", "colour"] {
        assert!(error.contains(&format!("{field}: ")), "{error}");
    }
    let nowhere = NewAutomation {
        account: AccountId::new("none"),
        ..new(guard())
    };
    let error = fixture.store.add_automation(nowhere, at(3)).await;
    assert_eq!(error.unwrap_err(), StoreError::no_account("none"));
    let added = fixture
        .store
        .add_automation(new(guard()), at(3))
        .await
        .unwrap();
    assert_eq!(fixture.store.automation(&added.id).await.unwrap(), added);
    assert_eq!(
        (added.rule_version, added.live, added.is_active),
        (1, false, false)
    );
    assert!(added.rule().is_ok());
    fixture
        .store
        .set_automation_active(&added.id, true, at(4))
        .await
        .unwrap();
    assert!(fixture.store.automation(&added.id).await.unwrap().is_active);
    fixture.store.remove_automation(&added.id).await.unwrap();
    let gone = StoreError::no_automation(added.id.as_str());
    assert_eq!(fixture.store.automation(&added.id).await.unwrap_err(), gone);
    assert_eq!(
        fixture
            .store
            .remove_automation(&added.id)
            .await
            .unwrap_err(),
        gone
    );
    let unknown = AutomationId::new("x");
    let error = fixture
        .store
        .set_automation_active(&unknown, true, at(5))
        .await;
    assert_eq!(error.unwrap_err(), StoreError::no_automation("x"));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_harms_no_other() {
    let fixture = Fixture::new().await;
    let account = fixture.account("main").await;
    let good = fixture.automation(&account).await;
    let (torn, odd) = (
        fixture.automation(&account).await.id,
        fixture.automation(&account).await.id,
    );
    fixture
        .sql(&format!(
            "UPDATE automations SET config = '{{\"action\": ' WHERE id = '{torn}'; \
             UPDATE automations SET type = 'luck' WHERE id = '{odd}'"
        ))
        .await;
    let listed = fixture.store.automations(Some(&account.id)).await.unwrap();
    assert_eq!(listed.rows, [good]);
    let mut named: Vec<_> = listed
        .unreadable
        .iter()
        .map(|error| match error {
            StoreError::Corrupt { table, id, .. } => (*table, id.as_str()),
            other => panic!("{other}"),
        })
        .collect();
    named.sort_unstable();
    let mut expected = [
        ("automations", torn.as_str()),
        ("automations", odd.as_str()),
    ];
    expected.sort_unstable();
    assert_eq!(named, expected);
    let error = fixture.store.automation(&torn).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn each_claim_of_ownership_has_a_greater_epoch() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.owner().await.unwrap(), None);
    for epoch in 1..4 {
        let holder = format!("pid {epoch}");
        let claimed = fixture.store.claim_ownership(&holder, at(epoch)).await;
        assert_eq!(claimed.unwrap(), Epoch(epoch));
        let owner = fixture.store.owner().await.unwrap().unwrap();
        assert_eq!((owner.holder, owner.claimed_at), (holder, at(epoch)));
    }
}

#[tokio::test]
async fn two_hundred_writes_at_once_each_get_their_own_answer() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let adding = (0..200).map(|n| {
        let name = format!("account-{}", n % 150);
        async move { store.add_account(new_account(&name), at(n)).await }
    });
    let answers = join_all(adding).await;
    for (n, answer) in answers.iter().enumerate() {
        let name = format!("account-{}", n % 150);
        match answer {
            Ok(account) => assert!(n < 150 && account.name == name, "{n}"),
            Err(error) => assert!(
                n >= 150
                    && *error
                        == StoreError::Exists {
                            what: "account",
                            name
                        },
                "{n}: {error}"
            ),
        }
    }
    let stored = fixture.store.accounts().await.unwrap().rows;
    assert_eq!(stored.len(), 150);
}

#[tokio::test]
async fn what_was_answered_survives_a_close_and_a_closed_store_says_so() {
    let fixture = Fixture::new().await;
    let account = fixture.account("main").await;
    let late = fixture.store.clone();
    let (added, ()) = tokio::join!(
        fixture.store.add_account(new_account("queued"), at(1)),
        fixture.store.close()
    );
    added.unwrap();
    fixture.store.close().await;
    for error in [
        late.accounts().await.unwrap_err(),
        late.set_automation_active(&AutomationId::new("x"), true, at(1))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    let again = fixture.second().await;
    assert_eq!(again.account("main").await.unwrap(), account);
    assert!(again.account("queued").await.is_ok());
    again.close().await;
    assert!(
        !fixture.path().with_extension("db-wal").exists(),
        "closed cleanly"
    );
}

#[tokio::test]
async fn a_locked_database_is_unavailable_in_time_and_what_nobody_waits_for_is_not_made() {
    let fixture = Fixture::new().await;
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
    let fixture = Fixture::new().await;
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
async fn a_full_queue_is_busy_and_a_full_disk_undoes_the_batch_and_no_more() {
    let fixture = Fixture::new().await;
    fixture.account("before").await;
    let burst = (0..writer::QUEUE + 1).map(|n| {
        let id = AutomationId::new(n.to_string());
        let store = fixture.store.clone();
        async move { store.set_automation_active(&id, true, at(1)).await }
    });
    let answers = join_all(burst).await;
    let busy = StoreError::Busy {
        waiting: writer::QUEUE,
    };
    let refused = answers
        .iter()
        .filter(|answer| **answer == Err(busy.clone()));
    assert_eq!(refused.count(), 1);

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

#[tokio::test]
async fn when_sqlite_rolls_back_by_itself_the_whole_batch_is_told_and_the_next_one_stands() {
    let fixture = Fixture::new().await;
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
async fn a_write_that_panics_ends_neither_the_writer_nor_its_neighbours_answers() {
    let fixture = Fixture::new().await;
    let panicking = fixture
        .store
        .write(Kind::Several, |_| Box::pin(async { panic!("a defect") }));
    let panicking: Result<(), StoreError> = panicking.await;
    let error = panicking.unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
    fixture.account("after").await;
}

#[tokio::test]
async fn the_last_handle_takes_the_writer_with_it_and_other_threads_may_use_the_store() {
    let fixture = Fixture::new().await;
    let store = fixture.store.clone();
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(store.add_account(new_account("elsewhere"), at(1)))
    });
    while !elsewhere.is_finished() {
        tokio::task::yield_now().await;
    }
    elsewhere.join().unwrap().unwrap();
    assert_eq!(fixture.store.accounts().await.unwrap().rows.len(), 1);
}
