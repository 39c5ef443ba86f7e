//! Protections of an account: what may be done on one day, and when it is paused.

use std::time::Duration;

use serde_json::Value;
use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::journal::{Execution, Filter, Journal};
use vigia::simulator::{Fault, LedgerKind};
use vigia::store::Epoch;

use crate::stage::{ADDED, Deed, Owner, Stage, Windows, price_at, wanted_server};
use crate::watchman::{SOON, Watchman, run_to_end};

/// Longer than what a limit holds back waits until it is looked at again.
const LOOKED_AGAIN: Duration = Duration::from_secs(25);
/// Enough for any test.
const ALL: u64 = 10_000;

async fn stage(protection: &str) -> Stage {
    let more = format!("[protection]\n{protection}\n");
    Stage::configured(wanted_server(), Windows::default(), &more).await
}

fn added(stage: &Stage) -> usize {
    let ledger = stage.control.ledger();
    let added = ledger.iter();
    added
        .filter(|entry| entry.kind == LedgerKind::MarginAdded)
        .count()
}

/// Lets the price fall to where the guard fires after so much was added.
fn endanger(stage: &Stage, position: &Position, times_added: i64) {
    let margin = vigia::domain::units::Sats(position.margin.0 + times_added * ADDED.0);
    let price = price_at(position, margin, 0.75);
    stage.control.set_price(price).unwrap();
}

async fn run(stage: &Stage, args: &[&str]) -> String {
    let output = run_to_end(&mut stage.command(args)).await;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{args:?}: {told}");
    told
}

async fn executions(stage: &Stage) -> Vec<Execution> {
    let store = stage.store().await;
    let journal = Journal::new(store.clone(), Epoch::NONE);
    let filter = Filter {
        limit: ALL,
        ..Filter::default()
    };
    let listed = journal.executions(&filter).await.unwrap().rows;
    store.close().await;
    listed
}

async fn guarded(stage: &Stage) -> (Owner, Position, Watchman) {
    let (owner, position) = stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    (owner, position, watchman)
}

async fn adds(stage: &Stage, position: &Position, times: i64) {
    for before in 0..times {
        endanger(stage, position, before);
        let count = usize::try_from(before).unwrap() + 1;
        stage
            .until("margin is added", SOON, |_| added(stage) == count)
            .await;
    }
}

/// The limit holds, is told once, explained by `why`, and raised without a restart.
async fn held_at_two(protection: &str, limit: &str, option: &str, raised: &str) {
    let stage = stage(protection).await;
    let (_, position, watchman) = guarded(&stage).await;
    adds(&stage, &position, 2).await;
    endanger(&stage, &position, 2);
    let told = watchman.until("protection.limit_reached").await;
    assert_eq!(
        (&told["account_name"], &told["limit"]),
        (&Value::from("alice"), &Value::from(limit))
    );
    let automation = executions(&stage).await[0].automation.to_string();
    let id = position.id.to_string();
    let why = [
        "why",
        "--automation",
        &automation,
        "--position",
        &id,
        "--offline",
    ];
    let why = run(&stage, &why).await;
    assert!(
        why.contains("NO") && why.contains("vigia account limits alice"),
        "{why}"
    );
    let shown = run(&stage, &["account", "limits", "alice"]).await;
    assert!(shown.contains("as configured"), "{shown}");
    assert_eq!(added(&stage), 2);
    let shown = run(&stage, &["account", "limits", "alice", option, raised]).await;
    assert!(shown.contains("its own"), "{shown}");
    stage
        .until("the raised limit lets it act", LOOKED_AGAIN, |_| {
            added(&stage) == 3
        })
        .await;
    assert_eq!(
        watchman.count("protection.limit_reached"),
        1,
        "{}",
        watchman.told()
    );
    watchman.stop().await;
    let rows = executions(&stage).await;
    assert!(
        rows.iter().all(|row| row.state == State::Done),
        "nothing piled up: {rows:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daily_limit_of_executions_holds_and_can_be_raised() {
    held_at_two(
        "executions_per_day = 2",
        "daily_executions",
        "--executions-per-day",
        "3",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daily_limit_of_margin_holds_and_can_be_raised() {
    held_at_two(
        "sats_per_day = 1400000",
        "daily_sats",
        "--sats-per-day",
        "1500000",
    )
    .await;
}

/// Whatever a killed process has begun counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_over_kills() {
    let stage = stage("executions_per_day = 1").await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    for place in ["execution.answered", "execution.recorded"] {
        let mut doomed = stage.start_to_die_at(place);
        doomed
            .until_armed(usize::from(place == "execution.answered"))
            .await;
        endanger(&stage, &position, 0);
        doomed.died().await;
    }
    let watchman = stage.start();
    endanger(&stage, &position, 1);
    watchman.until("protection.limit_reached").await;
    watchman.stop().await;
    assert_eq!(added(&stage), 1, "{:#?}", executions(&stage).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_never_held_back() {
    let stage = stage("executions_per_day = 1").await;
    let (_, first) = stage.guarded("alice", Deed::Close).await;
    let owner = Owner {
        name: "alice".to_owned(),
        credentials: vigia::domain::credentials::Credentials::new(
            "key-alice",
            "secret-alice",
            "phrase-alice",
        ),
    };
    let second = stage.open_position(&owner, 10).await;
    let watchman = stage.start();
    watchman.until_armed(2).await;
    stage.endanger(&first);
    let closed = |stage: &Stage| {
        let ledger = stage.control.ledger();
        ledger
            .iter()
            .filter(|entry| entry.kind == LedgerKind::Closed)
            .count()
    };
    stage
        .until("both are closed", SOON, |_| closed(&stage) == 2)
        .await;
    assert_eq!(watchman.count("protection.limit_reached"), 0);
    drop(second);
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_executions_fail_in_a_row_is_paused_until_it_is_resumed() {
    let stage = stage("failures_in_a_row = 3").await;
    let rejects = Fault::status(400);
    let rejects = rejects.on_route(Deed::Add.route()).on_key("key-alice");
    stage.control.inject(rejects).unwrap();
    let (_, position, watchman) = guarded(&stage).await;
    endanger(&stage, &position, 0);
    let paused = watchman.until("account.paused").await;
    let reason = paused["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("3 executions failed in a row, the last: rejected"),
        "{reason}"
    );
    assert_eq!(watchman.count("execution.failed"), 3);
    // Whatever the market does, nothing is sent.
    stage.control.clear_faults();
    endanger(&stage, &position, 0);
    let store = stage.store().await;
    let account = store.account("alice").await.unwrap();
    let pause = account.paused.unwrap();
    assert_eq!(
        (pause.reason.as_deref(), &*pause.by),
        (Some(reason), "protection")
    );
    assert_eq!(added(&stage), 0);
    assert!(
        store
            .resume_account(&account.id, stage.clock.utc())
            .await
            .unwrap()
    );
    store.close().await;
    stage
        .until("it acts again", SOON, |_| added(&stage) == 1)
        .await;
    watchman.stop().await;
}
