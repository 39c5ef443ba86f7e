//! Requests that cannot be: each fails its job with a reason of its own, for good, and the jobs after
//! it are done.

use std::collections::BTreeSet;

use base64::Engine;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AccountId, AutomationId};
use vigia::domain::rules::RuleKind;

use crate::node::Node;
use crate::scene::{Backend, Scene, USER, closing, waiting};

fn request(automation: &AutomationId) -> Value {
    json!({ "userId": USER, "automationId": automation })
}

/// Credentials with an empty part, which the service itself would not seal.
fn sealed(scene: &Scene, account: &AccountId, parts: [&str; 3]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = std::fs::read_to_string(scene.stage.data_dir().join("master.key")).unwrap();
    let key = base64.decode(key.trim()).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).unwrap());
    let mut text = vec![];
    for part in parts {
        text.extend((part.len() as u32).to_be_bytes());
        text.extend(part.as_bytes());
    }
    let aad = Aad::from(format!("vigia/credentials/v1/{account}").into_bytes());
    let nonce = Nonce::assume_unique_for_key([7; 12]);
    key.seal_in_place_append_tag(nonce, aad, &mut text).unwrap();
    format!("v1.{}", base64.encode([&[7; 12], &text[..]].concat()))
}

/// An account whose stored credentials are these, and its automation.
async fn poor(scene: &Scene, name: &str, parts: [&str; 3]) -> AutomationId {
    let whole = Credentials::new("k", "s", "p");
    let id = scene.add_account(name, whole).await;
    let path = scene.stage.database().display().to_string();
    let database = Database::connect(format!("sqlite://{path}")).await.unwrap();
    let sealed = sealed(scene, &id, parts);
    let emptied =
        format!("UPDATE user_exchange_accounts SET credentials = '{sealed}' WHERE id = '{id}'");
    database.execute_unprepared(&emptied).await.unwrap();
    database.close().await.unwrap();
    scene
        .automation(&id, RuleKind::AutoEntry, waiting(), false)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fails_with_its_reason_and_stops_nobody() {
    let scene = Scene::on(Backend::Redis, &[]).await;
    let node = Node::start(6, &scene.redis_url(), "automation-execute").await;
    let good = scene.player("good").await;
    let entry = scene.by_job(&good, RuleKind::AutoEntry, waiting()).await;
    let off = scene.by_job(&good, RuleKind::AutoEntry, waiting()).await;
    let now = scene.stage.clock.utc();
    scene
        .store
        .set_automation_active(&off, false, now)
        .await
        .unwrap();
    let closed = scene.player("closed").await;
    let of_closed = scene
        .by_job(&closed, RuleKind::MarginGuard, closing())
        .await;
    scene
        .store
        .set_account_active("closed", false, now)
        .await
        .unwrap();
    let of_poor = [
        poor(&scene, "keyless", ["", "s", "p"]).await,
        poor(&scene, "secretless", ["k", "", "p"]).await,
        poor(&scene, "phraseless", ["k", "s", ""]).await,
        poor(&scene, "penniless", ["", "", ""]).await,
    ];
    let watchman = scene.start(1).await;

    let mut foreign = request(&entry);
    foreign["userId"] = json!("somebody else");
    let mut large = request(&entry);
    large["note"] = json!("x".repeat(1 << 20));
    let mut mistyped = request(&entry);
    mistyped["userId"] = json!(7);
    mistyped["tradeId"] = json!("no id");
    let cases = [
        ("not JSON", None, "it is no JSON"),
        ("null", Some(Value::Null), "it is no object"),
        ("an array", Some(json!([1])), "it is no object"),
        (
            "nothing in it",
            Some(json!({})),
            "userId: is missing; automationId: is missing",
        ),
        (
            "wrong types",
            Some(mistyped),
            "userId: is no text; tradeId: is no id of a trade",
        ),
        ("1 MiB", Some(large), "bytes, 65536 at most are read"),
        (
            "unknown automation",
            Some(request(&AutomationId::new("unheard-of"))),
            "unheard-of",
        ),
        (
            "foreign user",
            Some(foreign),
            "does not belong to user somebody else",
        ),
        (
            "disabled automation",
            Some(request(&off)),
            &format!("automation {off} is disabled"),
        ),
        (
            "disabled account",
            Some(request(&of_closed)),
            "account closed is disabled",
        ),
        (
            "no key",
            Some(request(&of_poor[0])),
            "account keyless lacks its key:",
        ),
        (
            "no secret",
            Some(request(&of_poor[1])),
            "account secretless lacks its secret:",
        ),
        (
            "no passphrase",
            Some(request(&of_poor[2])),
            "account phraseless lacks its passphrase:",
        ),
        (
            "nothing of them",
            Some(request(&of_poor[3])),
            "account penniless lacks its key and secret and passphrase:",
        ),
    ];
    let count = cases.len();
    // All of them wait, and a good one after each.
    node.ask("pause", json!({})).await;
    let (mut bad, mut fine) = (vec![], vec![]);
    for (what, data, told) in cases {
        let broken = data.is_none();
        let options = json!({ "attempts": 3, "backoff": 50 });
        let id = node.add_with(data.unwrap_or(json!({})), options).await;
        if broken {
            let key = format!("bull:automation-execute:{id}");
            node.redis(&["HSET", &key, "data", "{\"userId\":"]).await;
        }
        bad.push((id, what, told.to_owned()));
        fine.push(node.add_with(request(&entry), json!({})).await);
    }
    node.ask("resume", json!({})).await;
    for id in &fine {
        let answer = node.wait(id).await;
        assert_eq!(answer["returned"]["status"], "pending", "{answer}");
    }
    let mut reasons = BTreeSet::new();
    for (id, what, told) in bad {
        let entry = scene.ended(&id).await;
        let reason = entry.failed_reason.unwrap_or_default();
        assert!(reason.contains(&told), "{what}: {reason}");
        assert_eq!(entry.attempts_made, 1, "{what} was tried again");
        println!("{what}: {reason}");
        reasons.insert(reason);
        let in_log = format!("\"job\":\"{id}@");
        let logged = watchman.told();
        assert!(
            logged
                .lines()
                .any(|line| line.contains("job.refused") && line.contains(&in_log))
        );
    }
    // What is no object is one reason, whatever it is.
    assert_eq!(reasons.len(), count - 1, "{reasons:?}");
    println!(
        "{count} of {count} unusable jobs failed with their reasons, {count} of {count} after them were done"
    );
    let queue = scene.status().await.queue;
    assert_eq!((&*queue.state, queue.in_hand), ("connected", 0));
    watchman.stop().await;
}
