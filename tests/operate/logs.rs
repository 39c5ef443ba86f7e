//! The three questions that operators ask their logs, in the situations that make them ask: the real
//! program's lines, through the documented filters.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::domain::ids::AutomationId;
use vigia::domain::kill_switch::Reach;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Fault, Injection};

use crate::filters::{AUTOMATIONS, FALLBACK, SOCKET, answers, filtered};
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{Watchman, run_to_end};

const QUICK: &str = "[health]\nperiod_ms = 300\n[price]\nquiet_ms = 300\nticker_period_ms = 200\n\
                     blind_ms = 1500\n";

async fn stage() -> Stage {
    let stage = Stage::configured(None, Windows::default(), QUICK).await;
    change(&stage, "read_near_ms = 200", |line| {
        format!(
            "{line}\nping_period_ms = 300\nping_deadline_ms = 300\nreconnect_first_ms = 50\n\
             reconnect_longest_ms = 200\nrefused_pause_ms = 1000"
        )
    });
    // What the filters find is logged at `info`.
    change(&stage, "info,vigia=debug", |_| "info".to_owned());
    stage
}

fn change(stage: &Stage, part: &str, to: impl Fn(&str) -> String) {
    let file = std::fs::read_to_string(stage.config_file()).unwrap();
    assert!(file.contains(part), "{part}");
    std::fs::write(stage.config_file(), file.replace(part, &to(part))).unwrap();
}

fn of<'a>(name: &'a str, event: &'a str) -> impl Fn(&Value) -> bool + use<'a> {
    move |line| line["event"] == event && line["account_name"] == name
}

fn inject(stage: &Stage, fault: impl Into<Injection>) {
    stage.control.inject(fault).unwrap();
}

/// The last thing that is said of an account's transport.
fn last_transport(stage: &[Value], name: &str) -> Option<Value> {
    let about = |line: &&Value| line["account_name"] == name;
    stage.iter().rfind(about).cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_socket_does_not_connect_is_told_by_its_cause() {
    let stage = stage().await;
    stage.guarded("alice", Deed::Close).await;
    stage.guarded("bob", Deed::Close).await;
    stage.guarded("carol", Deed::Close).await;
    inject(&stage, Fault::RefuseLogins.on_key("key-bob"));
    stage.control.revoke_key("key-carol");
    let watchman = stage.start();
    let cause = |name: &'static str, cause: &'static str| {
        move |line: &Value| of(name, "socket.lost")(line) && line["cause"] == cause
    };
    answers(&watchman, SOCKET, "auth", cause("bob", "auth")).await;
    let unauthorized =
        |line: &Value| of("carol", "connection.state")(line) && line["to"] == "unauthorized";
    answers(&watchman, SOCKET, "unauthorized", unauthorized).await;
    let connected =
        |line: &Value| of("alice", "transport.switched")(line) && line["to"] == "websocket";
    answers(&watchman, SOCKET, "it does", connected).await;
    inject(&stage, Fault::SilenceSockets);
    answers(&watchman, SOCKET, "silent", cause("alice", "silent")).await;
    stage.control.clear_faults();
    let silent = watchman
        .until_where("silent", cause("alice", "silent"))
        .await;
    let again =
        |line: &Value| connected(line) && line["timestamp"].as_str() > silent["timestamp"].as_str();
    watchman.until_where("it does again", again).await;
    inject(&stage, Fault::RefuseUpgrades { status: 429 });
    stage.control.drop_sockets(None);
    answers(&watchman, SOCKET, "closed", cause("alice", "closed")).await;
    // Whoever of an address is told first; the others do not even try.
    let limit = |line: &Value| line["event"] == "socket.lost" && line["cause"] == "limit";
    answers(&watchman, SOCKET, "limit", limit).await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_no_socket_is_free_or_none_can_be_reached_is_told() {
    let wrong = stage().await;
    wrong.guarded("alice", Deed::Close).await;
    change(&wrong, "stream_url = \"ws://127.0.0.1:", |_| {
        "stream_url = \"ws://127.0.0.1:1\" #".to_owned()
    });
    let watchman = wrong.start();
    let refused = |line: &Value| of("alice", "socket.lost")(line) && line["cause"] == "refused";
    answers(&watchman, SOCKET, "refused", refused).await;
    watchman.stop().await;

    // One for prices, one kept back, one left.
    let short = stage().await;
    change(&short, "[limits]", |line| format!("{line}\nsockets = 3"));
    short.guarded("alice", Deed::Close).await;
    short.guarded("bob", Deed::Close).await;
    let watchman = short.start();
    let full = |line: &Value| line["event"] == "health.feed" && line["sockets"] == 2;
    answers(&watchman, SOCKET, "no socket is free", full).await;
    assert_eq!(watchman.count("socket.lost"), 0);
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_http_stands_in_is_the_last_word_of_an_account() {
    let stage = stage().await;
    stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    let over = |to: &'static str| {
        move |line: &Value| of("alice", "transport.switched")(line) && line["to"] == to
    };
    answers(&watchman, FALLBACK, "no longer", over("websocket")).await;
    let last = |line: Value| {
        line["transport"]
            .as_str()
            .or(line["to"].as_str())
            .map(str::to_owned)
    };
    for lines in filtered(FALLBACK, &watchman) {
        let told = last_transport(&lines, "alice").and_then(last);
        assert_eq!(told.as_deref(), Some("websocket"), "{lines:#?}");
    }
    inject(&stage, Fault::RefuseUpgrades { status: 503 });
    stage.control.drop_sockets(None);
    answers(&watchman, FALLBACK, "since when", over("http")).await;
    let health = |line: &Value| of("alice", "health")(line) && line["transport"] == "http";
    answers(&watchman, FALLBACK, "still", health).await;
    let feed = |line: &Value| line["event"] == "health.feed" && line["transport"] == "http";
    answers(&watchman, FALLBACK, "the price too", feed).await;
    for lines in filtered(FALLBACK, &watchman) {
        let told = last_transport(&lines, "alice").and_then(last);
        assert_eq!(told.as_deref(), Some("http"), "{lines:#?}");
    }
    watchman.stop().await;
}

struct Cast {
    off: Vec<(&'static str, &'static str)>,
    far: (AutomationId, String),
}

/// One account for each reason that an automation may have to stand still.
async fn cast(stage: &Stage) -> Cast {
    let guard = |action: &str, cooldown: u64| {
        json!({
            "action": action, "add_margin_amount": 1000, "metric": "margin_used",
            "margin_threshold": 0.7, "cooldown_seconds": cooldown,
        })
    };
    let mut automations = vec![];
    let names = [
        "disabled",
        "by-job",
        "account-off",
        "paused",
        "killed",
        "cooling",
        "revoked",
    ];
    for name in names {
        let owner = stage.owner(name);
        stage.open_position(&owner, 10).await;
        let live = name != "by-job";
        let guard = guard("add_margin", 600);
        let kind = RuleKind::MarginGuard;
        automations.push(stage.automate(&owner, kind, guard, live).await);
    }
    let owner = stage.owner("far");
    let far = stage.open_position(&owner, 2).await;
    let kind = RuleKind::MarginGuard;
    let watching = stage
        .automate(&owner, kind, guard("add_margin", 0), true)
        .await;
    let store = stage.store().await;
    let now = stage.clock.utc();
    let disabled = store.set_automation_active(&automations[0], false, now);
    disabled.await.unwrap();
    let off = store.set_account_active("account-off", false, now);
    off.await.unwrap();
    let account = store.account("paused").await.unwrap();
    let paused = store.pause_account(&account.id, None, "operator", now);
    paused.await.unwrap();
    let account = store.account("killed").await.unwrap();
    let killed = Reach::Account(account.id);
    store
        .kill_switch_on(&killed, false, None, now)
        .await
        .unwrap();
    store.close().await;
    stage.control.revoke_key("key-revoked");
    Cast {
        off: vec![
            ("disabled", "disabled"),
            ("by-job", "by_job_only"),
            ("account-off", "account_disabled"),
            ("paused", "account_paused"),
        ],
        far: (watching, far.id.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_automations_do_not_execute_is_told_for_each() {
    let stage = stage().await;
    let cast = cast(&stage).await;
    let watchman = stage.start();
    watchman.until("service.ready").await;
    for (name, reason) in &cast.off {
        let off = |line: &Value| of(name, "automation.off")(line) && line["reason"] == *reason;
        answers(&watchman, AUTOMATIONS, reason, off).await;
    }
    let revoked =
        |line: &Value| of("revoked", "connection.state")(line) && line["to"] == "unauthorized";
    answers(&watchman, AUTOMATIONS, "unauthorized", revoked).await;
    // Enough for positions of 10x, far too little for the one of 2x.
    stage.control.set_price(93_000.0).unwrap();
    let killed = |line: &Value| of("killed", "alarm")(line) && line["what"] == "kill_switch";
    answers(&watchman, AUTOMATIONS, "kill switch", killed).await;
    let cooling =
        |line: &Value| of("cooling", "automation.waits")(line) && line["phase"] == "resting";
    answers(&watchman, AUTOMATIONS, "cooldown", cooling).await;
    // Nothing is said of the one whose condition was never true, but by `vigia why`.
    for lines in filtered(AUTOMATIONS, &watchman) {
        let about = |line: &&Value| line["account_name"] == "far";
        let told: Vec<_> = lines.iter().filter(about).collect();
        assert!(
            told.iter().all(|line| line["event"] == "connection.state"),
            "{told:#?}"
        );
    }
    let (automation, position) = &cast.far;
    let of = ["--automation", automation.as_str(), "--position", position];
    let mut why = stage.command(&[&["why"], of.as_slice()].concat());
    let told = run_to_end(&mut why).await;
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("fires at"), "{told}");
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_nothing_is_sent_or_seen_or_alive_is_told() {
    let dry = stage().await;
    let (_, position) = dry.guarded("alice", Deed::Close).await;
    let mut command = dry.run();
    command.arg("--dry-run");
    let watchman = Watchman::of(command, dry.clock);
    watchman.until("service.ready").await;
    let started = |line: &Value| line["event"] == "service.started" && line["dry_run"] == true;
    answers(&watchman, AUTOMATIONS, "a dry run", started).await;
    dry.endanger(&position);
    let skipped =
        |line: &Value| of("alice", "execution.skipped")(line) && line["reason"] == "dry_run";
    answers(&watchman, AUTOMATIONS, "not sent", skipped).await;
    watchman.stop().await;

    let blind = stage().await;
    blind.guarded("alice", Deed::Close).await;
    let watchman = blind.start();
    watchman.until("service.ready").await;
    inject(&blind, Fault::SilenceData);
    inject(&blind, Fault::status(503).on_route("/v3/futures/ticker"));
    let is_blind = |line: &Value| of("alice", "connection.state")(line) && line["to"] == "blind";
    answers(&watchman, AUTOMATIONS, "blind", is_blind).await;
    watchman.stop().await;

    let dead = stage().await;
    dead.guarded("alice", Deed::Close).await;
    let mut command = dead.run();
    command.env("VIGIA_FAILPOINT", "connection.started=panic:100");
    let watchman = Watchman::of(command, dead.clock);
    let set_aside = |line: &Value| line["event"] == "actor.quarantined";
    answers(&watchman, AUTOMATIONS, "quarantined", set_aside).await;
    let named = |line: &Value| of("alice", "connection.state")(line) && line["to"] == "quarantined";
    answers(&watchman, AUTOMATIONS, "which account", named).await;
    let soon = Duration::from_secs(5);
    tokio::time::timeout(soon, watchman.until("service.ready"))
        .await
        .expect("one that is set aside holds nobody up");
    watchman.stop().await;
}
