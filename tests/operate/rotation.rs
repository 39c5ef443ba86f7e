//! Another API key for an account: accepted by the exchange first, taken up without a gap, and nothing
//! left of the old one.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::UserId;
use vigia::simulator::{Fault, Injection};
use vigia::store::NewAccount;

use crate::desk::Desk;
use crate::stage::{Deed, NETWORK, Owner, Stage};
use crate::watchman::SOON;

/// How sealed credentials begin, as they are stored.
const SEALED: &[u8] = b"v1.";

impl Stage {
    /// All that is sealed in the store's files, also what was overwritten and is still there.
    fn sealed(&self) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = vec![];
        for suffix in ["", "-wal"] {
            let mut path = self.database().into_os_string();
            path.push(suffix);
            let bytes = std::fs::read(path).unwrap_or_default();
            for start in 0..bytes.len().saturating_sub(SEALED.len()) {
                if &bytes[start..start + SEALED.len()] != SEALED {
                    continue;
                }
                let is_text = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
                let text = bytes[start + SEALED.len()..]
                    .iter()
                    .take_while(|byte| is_text(byte));
                let text: Vec<u8> = text.copied().collect();
                if text.len() > 60 {
                    found.push(text);
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// One more key of an account.
    fn another_key(&self, owner: &Owner, name: &str) -> String {
        let [key, secret, phrase] =
            ["key", "secret", "phrase"].map(|part| format!("{part}-{name}"));
        let of = owner.credentials.key.expose_secret();
        assert!(self.control.add_key(of, &key, &secret, &phrase));
        self.credentials_file(name, [&key, &secret, &phrase])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_accepted_first_then_taken_up_without_a_gap_and_the_old_one_is_wiped() {
    // Of a file, whose bytes can be looked at.
    let stage = Stage::in_a_file().await;
    let (alice, position) = stage.guarded("alice", Deed::Close).await;
    let mallory = stage.owner("mallory");
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let old = stage.sealed();
    assert_eq!(old.len(), 1, "one account");
    let rotate = async |file: &str, more: &[&str]| {
        let arguments = [
            "account",
            "credentials",
            "alice",
            "--credentials-file",
            file,
        ];
        stage.cli(&[&arguments, more].concat()).await
    };

    // What the exchange does not accept, or accepts for somebody else, is not stored.
    let unknown = stage.credentials_file("unknown", ["key-x", "secret-x", "phrase-x"]);
    rotate(&unknown, &[])
        .await
        .refused(&["the exchange refuses", "the old ones stay"]);
    let parts = ["key-mallory", "secret-mallory", "phrase-mallory"];
    let theirs = stage.credentials_file("mallory", parts);
    rotate(&theirs, &[])
        .await
        .refused(&["another account of the exchange", "the old ones"]);
    drop(mallory);
    let away = Fault::status(503);
    let away = Injection::from(away).on_key("key-next");
    stage.control.inject(away).unwrap();
    let next = stage.another_key(&alice, "next");
    rotate(&next, &[])
        .await
        .refused(&["could not be asked", "unverified"]);
    stage.control.clear_faults();
    assert_eq!(stage.sealed(), old, "nothing was stored");

    let told = rotate(&next, &[]).await.ok();
    told.says(&[
        "the exchange accepts them",
        "its connection uses them: handover",
    ]);
    let new = stage.sealed();
    assert_eq!(new.len(), 1);
    assert_ne!(new, old, "the old ones are still in the file or its log");
    // From now on it acts with the new one alone.
    assert!(stage.control.revoke_key("key-alice"));
    let acted = stage.control.requests_of("key-next");
    stage.endanger(&position);
    stage
        .until("the guard acts", SOON, |_| stage.effects().len() == 1)
        .await;
    assert!(stage.control.requests_of("key-next") > acted);
    let died = watchman.lines();
    let to = |state: &str| died.iter().filter(|line| line["to"] == state).count();
    assert_eq!(to("unauthorized"), 0, "{}", watchman.told());

    // The old one is refused by now: whose it was cannot be told any more.
    let third = stage.another_key(&alice, "third");
    assert!(stage.control.revoke_key("key-next"));
    rotate(&third, &[])
        .await
        .ok()
        .says(&["accepts them", "no longer tell whose"]);
    for secret in ["secret-", "phrase-"] {
        assert!(!watchman.told().contains(secret), "{}", watchman.told());
    }
    stage.agree_after_stop(watchman).await;

    // Where no service runs the command asks the exchange itself.
    rotate(&unknown, &[])
        .await
        .refused(&["the exchange refuses"]);
    let fourth = stage.another_key(&alice, "fourth");
    let said = rotate(&fourth, &[]).await.ok();
    assert!(!format!("{said:?}").contains("secret-"));
    let before = stage.sealed();
    rotate(&unknown, &["--unverified"])
        .await
        .ok()
        .says(&["not verified"]);
    let after = stage.sealed();
    assert!(after.len() == 1 && after != before);
    let watchman = stage.start();
    watchman
        .until_where("it is refused", |line| line["to"] == "unauthorized")
        .await;
    rotate(&fourth, &[])
        .await
        .ok()
        .says(&["accepts them", "its connection uses them"]);
    watchman
        .until_where("it is live", |line| line["to"] == "live")
        .await;
    watchman.stop().await;
}

/// What then takes less room, or none, frees pages of the file: nothing of what was sealed stays in
/// those either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_accounts_that_change_their_keys_or_go_nothing_stays_in_the_file() {
    const MANY: usize = 40;
    // Two rows or less fill a page.
    const LONG: usize = 600;
    let stage = Stage::in_a_file().await;
    let store = stage.store().await;
    let mut ids = vec![];
    for number in 0..MANY {
        let part = |part: &str| format!("{part}-{number}-{}", "x".repeat(LONG));
        let new = NewAccount {
            user_id: UserId::new("user-1"),
            name: format!("account-{number}"),
            network: NETWORK.to_owned(),
            credentials: Credentials::new(part("key"), part("secret"), part("phrase")),
        };
        ids.push(store.add_account(new, stage.clock.utc()).await.unwrap().id);
    }
    assert!(store.wipe().await);
    let old = stage.sealed();
    assert_eq!(old.len(), MANY);
    for (number, id) in ids.iter().enumerate() {
        if number % 2 == 0 {
            store.remove_account(id).await.unwrap();
            continue;
        }
        let short = Credentials::new(format!("k{number}"), "s", "p");
        let changing = store.set_credentials(id, short, stage.clock.utc());
        changing.await.unwrap();
    }
    assert!(store.wipe().await);
    let file = std::fs::read(stage.database()).unwrap();
    let file = String::from_utf8_lossy(&file);
    let left = old.iter().filter(|sealed| {
        // Its beginning may be gone alone.
        let part = String::from_utf8_lossy(&sealed[sealed.len() - 200..]);
        file.contains(&*part)
    });
    assert_eq!(left.count(), 0, "of {MANY}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_too_and_what_is_wrong_with_them_is_told_by_part_alone() {
    let stage = Stage::set().await;
    let (alice, _) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let desk = Desk::of(&stage, &watchman).await;
    let path = "/v1/accounts/alice/credentials";
    let wrong = json!({ "key": "k", "secret": " hunter2", "passphrase": "" });
    let told = desk
        .post(path, wrong)
        .await
        .refused(400, &["secret", "passphrase"]);
    assert!(!told.to_string().contains("hunter2"));
    let refused = json!({ "key": "k", "secret": "hunter2", "passphrase": "p" });
    let told = desk
        .post(path, refused.clone())
        .await
        .refused(409, &["the exchange refuses"]);
    assert!(!told.to_string().contains("hunter2"));
    let viewer = desk.bearing("nobody's");
    viewer.post(path, refused).await.refused(401, &[]);
    stage.another_key(&alice, "next");
    let next = json!({ "key": "key-next", "secret": "secret-next", "passphrase": "phrase-next" });
    let answer = desk.post(path, next).await.ok();
    assert_eq!(
        (&answer["verified"], &answer["sameAccount"]),
        (&json!(true), &json!(true))
    );
    assert!(
        answer["switched"]["handoverMs"].as_f64().is_some(),
        "{answer}"
    );
    assert_eq!(answer["account"]["credentialsVersion"], json!(2));
    assert!(!answer.to_string().contains("-next"), "{answer}");
    let told = watchman.told();
    assert!(
        !told.contains("hunter2") && !told.contains("secret-next"),
        "{told}"
    );
    tokio::time::timeout(Duration::from_secs(30), watchman.stop())
        .await
        .unwrap();
}
