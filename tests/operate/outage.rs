//! The store goes while the market falls: what protects goes on, what cannot waits, and when it is
//! back journal, audit log and the exchange's ledger say the same.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;
use vigia::admin::Access;
use vigia::domain::audit::iso;
use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Sats;
use vigia::simulator::{Control, LedgerKind};

use crate::books::Books;
use crate::server::Server;
use crate::small_disk::SmallDisk;
use crate::stage::{ADDED, Deed, Owner, Stage, THRESHOLD, Windows, price_at};
use crate::watchman::Watchman;

/// Within which a guard has acted, on a busy machine.
const WITHIN: Duration = Duration::from_secs(15);
/// Small enough for a small disk.
const SMALL_FILE: &str = "[journal]\nintents_kib = 512\n";

pub fn trade(control: &Control, position: &Position, kind: LedgerKind) -> usize {
    control
        .ledger()
        .iter()
        .filter(|entry| entry.kind == kind && entry.trade_id.to_string() == position.id.to_string())
        .count()
}

/// Waits for effects on a trade.
pub async fn acted(
    stage: &Stage,
    watchman: &Watchman,
    position: &Position,
    kind: LedgerKind,
    n: usize,
) {
    let deadline = stage.clock.mono() + WITHIN;
    while trade(&stage.control, position, kind) < n {
        assert!(
            stage.clock.mono() < deadline,
            "{kind:?} {n} times within {WITHIN:?}: {:#?}\n{}",
            stage.control.ledger(),
            watchman.told()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The price falls to where the guards act whose margin is this.
fn fall(stage: &Stage, position: &Position, margin: Sats) {
    let price = price_at(position, margin, THRESHOLD + 0.05);
    stage.control.set_price(price).unwrap();
}

async fn reduced(stage: &Stage, name: &str) -> (Owner, Position) {
    let owner = stage.owner(name);
    let position = stage.open_position(&owner, 10).await;
    let config = json!({
        "action": "reduce_position", "reduce_percentage": 50, "metric": "margin_used",
        "margin_threshold": THRESHOLD, "cooldown_seconds": 0,
    });
    stage
        .automate(&owner, RuleKind::MarginGuard, config, true)
        .await;
    (owner, position)
}

/// Another process's lock on the whole database.
pub async fn locked(path: &Path) -> DatabaseConnection {
    let url = format!("sqlite://{}?mode=rw", path.display());
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let other = Database::connect(options).await.unwrap();
    loop {
        if other.execute_unprepared("BEGIN EXCLUSIVE").await.is_ok() {
            return other;
        }
    }
}

pub async fn unlock(other: DatabaseConnection) {
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
}

/// Waits until so many executions are known to be done, wherever that stands.
async fn done(stage: &Stage, watchman: &Watchman, n: usize) {
    let deadline = stage.clock.mono() + WITHIN;
    while watchman.count("execution.done") < n {
        assert!(stage.clock.mono() < deadline, "{}", watchman.told());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Where executions are written down, as everybody may ask.
pub async fn journal(stage: &Stage) -> String {
    let access = Access::read(stage.data_dir()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client
        .get(format!("http://{}/readyz", access.address))
        .send();
    let answer = asked.await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["journal"].as_str().unwrap().to_owned()
}

/// What was done during the outage has its own time, not that of the taking over.
fn assert_told_in_time(books: &Books, until: &str) {
    for row in &books.audit {
        assert!(row.entry.timestamp.as_str() < until, "{row:?}, {until}");
    }
}

#[tokio::test]
async fn guards_save_their_positions_while_the_disk_is_full() {
    let stage = Stage::configured(None, Windows::default(), SMALL_FILE).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let (_, halved) = reduced(&stage, "carol").await;
    let disk = SmallDisk::over(stage.data_dir(), 6);
    let watchman = stage.start();
    watchman.until_armed(3).await;
    disk.fill();
    let from = stage.clock.mono();
    fall(&stage, &added, added.margin);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    acted(&stage, &watchman, &halved, LedgerKind::Closed, 1).await;
    let saved = stage.clock.mono() - from;
    let reopened = |control: &Control| {
        let ours = |id: &str| id.starts_with("vigia-");
        control.ledger().iter().any(|entry| {
            entry.kind == LedgerKind::Filled && entry.client_id.as_deref().is_some_and(ours)
        })
    };
    stage.until("what is kept", WITHIN, reopened).await;
    // A guard guards while the danger lasts: its next episode, without the store.
    let margin = Sats(added.margin.0 + ADDED.0);
    fall(&stage, &added, margin);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 2).await;
    done(&stage, &watchman, 4).await;
    assert_eq!(journal(&stage).await, "in_file");
    assert!(disk.is_full(), "the disk was to stay full");
    assert_eq!(watchman.count("journal.recovered"), 0);
    let freed = iso(stage.clock.utc());
    disk.free();
    let recovered = watchman.until("journal.recovered").await;
    println!(
        "a full disk: three positions saved within {} ms; taken over: {recovered}",
        saved.as_millis()
    );
    assert_eq!(recovered["kept"], 4);
    assert_eq!(journal(&stage).await, "stored");
    assert_eq!(watchman.count("journal.unwritten"), 0);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 4]);
    assert_told_in_time(&books, &freed);
}

/// The write that had no answer is made when the lock is gone: late, of an execution that has ended
/// by then.
#[tokio::test]
async fn guards_save_their_positions_while_the_database_is_locked() {
    let stage = Stage::configured(None, Windows::default(), SMALL_FILE).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(2).await;
    let lock = locked(&stage.database()).await;
    fall(&stage, &added, added.margin);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    done(&stage, &watchman, 2).await;
    let unlocked = iso(stage.clock.utc());
    unlock(lock).await;
    let recovered = watchman.until("journal.recovered").await;
    println!("a locked database: {recovered}");
    assert_eq!(recovered["kept"], 2);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 2]);
    assert_told_in_time(&books, &unlocked);
}

/// For longer than SQLite itself waits for a lock.
#[tokio::test]
async fn a_lock_of_ten_seconds_is_outlasted() {
    if std::env::var_os("VIGIA_LONG").is_none() {
        return;
    }
    let stage = Stage::configured(None, Windows::default(), SMALL_FILE).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let lock = locked(&stage.database()).await;
    let mut margin = added.margin;
    for adds in 1..=3 {
        fall(&stage, &added, margin);
        acted(&stage, &watchman, &added, LedgerKind::MarginAdded, adds).await;
        margin = Sats(margin.0 + ADDED.0);
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    unlock(lock).await;
    let recovered = watchman.until("journal.recovered").await;
    assert_eq!(recovered["kept"], 3);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 3]);
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Stopped,
    Frozen,
}

/// While nobody else can have the right to trade all that protects goes on; beyond, only closes.
async fn without_a_server(fault: Fault) {
    let windows = Windows {
        store_ms: 1000,
        lease_ms: [500, 4000, 6000],
        ..Windows::default()
    };
    let mut stage = Stage::configured(Some(Server::start()), windows, SMALL_FILE).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let dave = stage.owner("dave");
    let later = stage.open_position(&dave, 7).await;
    stage.guard(&dave, Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(3).await;
    match fault {
        Fault::Stopped => stage.server().stop(),
        Fault::Frozen => stage.server().freeze(true),
    }
    fall(&stage, &added, added.margin);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    watchman.until("ownership.stale").await;
    fall(&stage, &added, Sats(added.margin.0 + ADDED.0));
    acted(&stage, &watchman, &later, LedgerKind::Closed, 1).await;
    watchman
        .until_where("that margin waits for the right to trade", |line| {
            line["what"] == "store_failed"
                && line["detail"]
                    .as_str()
                    .is_some_and(|told| told.contains("right to trade"))
        })
        .await;
    assert_eq!(trade(&stage.control, &added, LedgerKind::MarginAdded), 1);
    match fault {
        Fault::Stopped => stage.server().start_again(),
        Fault::Frozen => stage.server().freeze(false),
    }
    let recovered = watchman.until("journal.recovered").await;
    println!("{fault:?}: {recovered}");
    // The danger lasts.
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 2).await;
    stage
        .settled(&watchman, |books| books.states().len() == 4)
        .await;
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 4]);
}

#[tokio::test]
async fn guards_act_while_the_server_is_stopped() {
    without_a_server(Fault::Stopped).await;
}

#[tokio::test]
async fn guards_act_while_the_server_is_frozen() {
    without_a_server(Fault::Frozen).await;
}
