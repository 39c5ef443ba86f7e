//! The store, in a file or on a server of PostgreSQL: what both promise.

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::json;

use super::testing::{Fixture, at, guard};
use super::*;
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, AutomationId, UserId};
use crate::domain::rules::RuleKind;

pub(super) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        user_id: UserId::new("user-1"),
        name: name.to_owned(),
        network: "simulator".to_owned(),
        credentials: Credentials::new("key", "secret", "passphrase"),
    }
}

#[tokio::test]
async fn migrations_go_up_down_and_up_and_say_what_they_did() {
    let fixture = Fixture::empty().await;
    let store = &fixture.store;
    let error = store.accounts().await.unwrap_err();
    assert!(error.to_string().contains("vigia migrate"), "{error}");
    let all = store.pending_migrations().await.unwrap();
    assert!(all.len() >= 6, "{all:?}");
    let kept = all.len() - 2;
    assert_eq!(store.migrate().await.unwrap().steps, all);
    assert_eq!(store.migrate().await.unwrap().steps, Vec::<String>::new());
    let last: Vec<_> = all.iter().rev().take(2).cloned().collect();
    assert_eq!(store.rollback(2).await.unwrap().steps, last);
    assert_eq!(store.pending_migrations().await.unwrap(), all[kept..]);
    assert_eq!(store.migrate().await.unwrap().steps, all[kept..]);
    let steps = u32::try_from(all.len()).unwrap();
    let back = store.rollback(steps).await.unwrap().steps;
    assert_eq!(back.len(), all.len());
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

    let stored = if fixture.is_a_file() {
        std::fs::read(fixture.path().with_extension("db-wal")).unwrap()
    } else {
        fixture.dumped("user_exchange_accounts").await.into_bytes()
    };
    let clear = |text: &[u8]| stored.windows(text.len()).any(|window| window == text);
    assert!(clear(b"user-1"), "this is not where it is stored");
    assert!(!clear(b"passphrase"), "credentials stand in clear");
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
    let without = Store::open(&fixture.url(), None).await.unwrap();
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
    // On a server the type of the column is what keeps JSON whole.
    let tear = match fixture.is_a_file() {
        true => format!("UPDATE automations SET config = '{{\"action\": ' WHERE id = '{torn}'"),
        false => format!("UPDATE automations SET type = 'torn' WHERE id = '{torn}'"),
    };
    fixture.sql(&tear).await;
    fixture
        .sql(&format!(
            "UPDATE automations SET type = 'nothing' WHERE id = '{odd}'"
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
    // In a file, nothing is left beside it.
    assert!(
        !fixture.path().with_extension("db-wal").exists(),
        "closed cleanly"
    );
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let fixture = Fixture::new().await;
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
        runtime.block_on(async {
            store.add_account(new_account("elsewhere"), at(1)).await?;
            store.accounts().await
        })
    });
    while !elsewhere.is_finished() {
        tokio::task::yield_now().await;
    }
    elsewhere.join().unwrap().unwrap();
    assert_eq!(fixture.store.accounts().await.unwrap().rows.len(), 1);
}
