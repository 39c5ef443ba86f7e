//! Accounts and automations come, change and go while the service runs, over HTTP.

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::scrape::until;
use crate::stage::{Deed, NETWORK, Owner, Stage};
use crate::watchman::{SOON, Watchman};

fn credentials(owner: &Owner) -> Value {
    use secrecy::ExposeSecret;
    let who = &owner.credentials;
    json!({
        "key": who.key.expose_secret(), "secret": who.secret.expose_secret(),
        "passphrase": who.passphrase.expose_secret(),
    })
}

fn named(owner: &Owner, name: &str) -> Value {
    let mut body = credentials(owner);
    body["name"] = json!(name);
    body["network"] = json!(NETWORK);
    body
}

async fn live(watchman: &Watchman, name: &str, times: usize) {
    let is = |line: &Value| {
        line["event"] == "connection.state" && line["account_name"] == name && line["to"] == "live"
    };
    let what = format!("{name} live, {times} times");
    let enough = || watchman.lines().iter().filter(|line| is(line)).count() >= times;
    watchman.until_holds(&what, enough).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_comes_is_guarded_paused_disabled_and_goes_without_a_restart() {
    let stage = Stage::set().await;
    let watchman = stage.start();
    let desk = Desk::of(&stage, &watchman).await;
    let owner = stage.owner("first");
    let position = stage.open_position(&owner, 10).await;
    // A name with whatever signs.
    let (name, path) = (
        "Zé's 1/2 ?&#%",
        "/v1/accounts/Z%C3%A9%27s%201%2F2%20%3F%26%23%25",
    );
    let added = desk.post("/v1/accounts", named(&owner, name)).await;
    assert_eq!(added.status, 201);
    let added = added.ok();
    assert_eq!(
        (&added["changed"], &added["inEffect"]),
        (&json!(true), &json!(true))
    );
    let id = added["account"]["id"].as_str().unwrap().to_owned();
    live(&watchman, name, 1).await;
    let shown = desk.get(path).await.ok();
    assert_eq!(shown, added["account"]);
    assert_eq!(desk.get(&format!("/v1/accounts/{id}")).await.ok(), shown);
    assert_eq!(
        desk.get("/v1/accounts").await.ok()["accounts"],
        json!([shown])
    );

    // Paused before its rule comes: the rule would act at once.
    let pause = desk
        .post(&format!("{path}/pause"), json!({ "reason": "a look" }))
        .await;
    let paused = pause.ok()["account"]["paused"].clone();
    assert_eq!(
        (&paused["reason"], &paused["by"]),
        (&json!("a look"), &json!("operator"))
    );
    let again = desk
        .post(&format!("{path}/pause"), json!({ "reason": "another" }))
        .await
        .ok();
    assert_eq!(
        (&again["changed"], &again["account"]["paused"]),
        (&json!(false), &paused)
    );
    stage.endanger(&position);
    let rule = json!({
        "account": name, "type": "margin_guard", "config": {
            "metric": "margin_used", "margin_threshold": 0.7, "action": "close_position",
        },
    });
    let rule = desk.post("/v1/automations", rule).await;
    assert_eq!(rule.status, 201);
    let rule = rule.ok()["automation"]["id"].as_str().unwrap().to_owned();
    // The connection goes on: it sees what the owner does meanwhile.
    let second = stage.open_position(&owner, 2).await;
    until("the second position is seen", &watchman, || async {
        let status = desk.get("/v1/status").await.ok();
        let positions = status["accounts"][0]["positions"].as_array().unwrap().len();
        (positions == 2).then_some(())
    })
    .await;
    assert!(stage.effects().is_empty(), "{:?}", stage.effects());
    let resumed = desk.post(&format!("{path}/resume"), json!({})).await.ok();
    assert_eq!(resumed["account"]["paused"], Value::Null);
    stage
        .until("the first is closed", SOON, |_| {
            stage
                .effects()
                .iter()
                .any(|entry| entry.trade_id == position.id.0)
        })
        .await;
    assert_eq!(stage.effects().len(), 1);

    // Disabled it has no connection; enabled it has one again, and what it had stays.
    desk.post(&format!("{path}/disable"), json!({})).await.ok();
    assert_eq!(desk.get("/v1/status").await.ok()["accounts"], json!([]));
    let enabled = desk.post(&format!("{path}/enable"), json!({})).await.ok();
    assert_eq!(enabled["account"]["isActive"], json!(true));
    live(&watchman, name, 2).await;

    let refused = desk.delete(path).await;
    refused.refused(409, &["a position that runs", "force"]);
    desk.post(&format!("/v1/automations/{rule}/disable"), json!({}))
        .await
        .ok();
    let of = format!("/v1/automations?account={id}");
    let listed = desk.get(&of).await.ok();
    assert_eq!(listed["automations"][0]["isActive"], json!(false));
    desk.delete(&format!("{path}?force=true")).await.ok();
    desk.get(path).await.refused(404, &["there is no account"]);
    desk.get(&format!("/v1/automations/{rule}"))
        .await
        .refused(404, &["no automation"]);
    assert_eq!(desk.get("/v1/status").await.ok()["accounts"], json!([]));
    // At the exchange nothing has changed, and what was done stays recorded.
    let kept = stage.control.account("key-first").unwrap().trades;
    assert_eq!(
        kept.iter()
            .filter(|trade| trade.id == second.id.0.to_string())
            .count(),
        1
    );
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!((books.executions.len(), books.audit.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_possible_is_refused_by_field_and_no_secret_is_ever_repeated() {
    const HUNTER: &str = "hunter2hunter2";
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let desk = Desk::of(&stage, &watchman).await;
    let mut answers = vec![];
    let wrong = json!({
        "name": 7, "network": "moon", "secret": HUNTER, "passphrase": format!(" {HUNTER}"),
        "colour": HUNTER,
    });
    let answer = desk.post("/v1/accounts", wrong).await;
    answers.push(answer.text.clone());
    let told = answer.refused(
        400,
        &["network: it is not configured", "key: it is missing"],
    );
    let fields = told["errors"].as_array().unwrap().iter();
    let fields: Vec<_> = fields
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "key", "network", "colour"]);
    let mut taken = named(&stage.owner("bob"), "alice");
    desk.post("/v1/accounts", taken.clone())
        .await
        .refused(409, &["exists already"]);
    taken["name"] = json!(" bob");
    desk.post("/v1/accounts", taken)
        .await
        .refused(400, &["name"]);
    for body in [
        format!("[\"{HUNTER}\"]"),
        format!("{{\"{HUNTER}"),
        HUNTER.to_owned(),
    ] {
        let answer = desk.ask("POST", "/v1/accounts", Some(&body)).await;
        answers.push(answer.text.clone());
        answer.refused(400, &["no JSON object"]);
    }
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(70_000));
    desk.ask("POST", "/v1/accounts", Some(&long))
        .await
        .refused(413, &["longer than 65536 bytes"]);

    let rule = json!({ "account": "alice", "type": "margin_guard", "config": {
        "action": "dance", "margin_threshold": -1, "colour": "red" } });
    let told = desk
        .post("/v1/automations", rule)
        .await
        .refused(400, &["dance"]);
    let fields = told["errors"].as_array().unwrap().iter();
    let mut fields: Vec<_> = fields
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["config.action", "config.colour", "config.margin_threshold"]
    );
    let rule = json!({ "account": "alice", "type": "dance" });
    desk.post("/v1/automations", rule)
        .await
        .refused(400, &["type", "config: it is missing"]);
    let rule = json!({ "account": "nobody", "type": "tp_sl", "config": {
        "action": "close_sl", "trigger_pnl_percentage": 1 } });
    desk.post("/v1/automations", rule)
        .await
        .refused(404, &["nobody"]);

    desk.post("/v1/accounts/alice/enable", json!({ "now": true }))
        .await
        .refused(400, &["now"]);
    for path in ["/v1/accounts/nobody/pause", "/v1/accounts/nobody/restart"] {
        desk.post(path, json!({})).await.refused(404, &["nobody"]);
    }
    for (kind, path) in [
        ("account", "/v1/kill-switches/account/nobody"),
        ("automation", "/v1/kill-switches/automation/nobody"),
    ] {
        desk.put(path, json!({})).await.refused(404, &[kind]);
    }
    desk.delete("/v1/kill-switches/service")
        .await
        .refused(404, &["no kill switch"]);
    desk.get("/v1/dance").await.refused(404, &["docs/http.md"]);
    desk.delete("/v1/accounts")
        .await
        .refused(405, &["docs/http.md"]);
    desk.get("/v1/automations?colour=red")
        .await
        .refused(400, &["colour"]);
    desk.delete("/v1/accounts/alice?force=perhaps")
        .await
        .refused(400, &["force"]);
    desk.get("/v1/accounts/%ff")
        .await
        .refused(400, &["account"]);
    let hidden = json!({ "reason": format!("by\n\u{1b}[2Jhand{}", "!".repeat(900)) });
    desk.put("/v1/kill-switches/account/alice", hidden)
        .await
        .ok();
    let told = desk.get("/v1/kill-switches").await.ok();
    let reason = told["killSwitches"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("by  [2Jhand!"), "{reason:?}");
    assert_eq!(reason.chars().count(), 500);
    desk.delete("/v1/kill-switches/account/alice").await.ok();
    let mut unseen = named(&stage.owner("carol"), "alice\u{200b}");
    for name in ["alice\u{200b}", "\u{202e}ecila", "ali\u{2028}ce"] {
        unseen["name"] = json!(name);
        desk.post("/v1/accounts", unseen.clone())
            .await
            .refused(400, &["name", "can be seen"]);
    }
    desk.bearing("")
        .get("/v1/accounts")
        .await
        .refused(401, &["bearer token"]);

    answers.push(watchman.told());
    let told = answers.join("\n");
    assert!(!told.contains(HUNTER), "{told}");
    watchman.stop().await;
}
