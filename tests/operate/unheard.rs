//! What the store has never heard of: positions that are opened, and sockets that are lost, while it
//! is away and the market falls.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::domain::rules::RuleKind;
use vigia::simulator::LedgerKind;

use crate::outage::{acted, journal, locked, trade, unlock};
use crate::scrape::Scrape;
use crate::server::Server;
use crate::small_disk::SmallDisk;
use crate::stage::{Deed, Owner, Stage, THRESHOLD, Windows, price_at};
use crate::watchman::Watchman;

const WITHIN: Duration = Duration::from_secs(15);
const SMALL_FILE: &str = "[journal]\nintents_kib = 512\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gone {
    DiskFull,
    Locked,
    Stopped,
}

/// What a store is gone by, until it is back.
enum Way {
    Disk(SmallDisk),
    Lock(Option<sea_orm::DatabaseConnection>),
    Server,
}

async fn stage(gone: Gone) -> Stage {
    // A lease that outlives the test: nobody else can trade.
    let windows = Windows {
        store_ms: 1000,
        lease_ms: [500, 60_000, 90_000],
        ..Windows::default()
    };
    let server = (gone == Gone::Stopped).then(Server::start);
    Stage::configured(server, windows, SMALL_FILE).await
}

impl Gone {
    /// Before the service starts.
    fn prepare(self, stage: &Stage) -> Way {
        match self {
            Self::DiskFull => Way::Disk(SmallDisk::over(stage.data_dir(), 6)),
            Self::Locked => Way::Lock(None),
            Self::Stopped => Way::Server,
        }
    }
}

impl Way {
    async fn goes(&mut self, stage: &mut Stage) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Lock(lock) => *lock = Some(locked(&stage.database()).await),
            Self::Server => stage.server().stop(),
        }
    }

    async fn is_back(&mut self, stage: &mut Stage) {
        match self {
            Self::Disk(disk) => disk.free(),
            Self::Lock(lock) => unlock(lock.take().unwrap()).await,
            Self::Server => stage.server().start_again(),
        }
    }
}

fn of(line: &Value, event: &str, owner: &Owner) -> bool {
    line["event"] == event && line["account_name"] == owner.name.as_str()
}

/// How often an account has got a socket.
fn sockets(watchman: &Watchman, owner: &Owner) -> usize {
    let lines = watchman.lines();
    let switched = lines
        .iter()
        .filter(|line| of(line, "transport.switched", owner) && line["to"] == "websocket");
    switched.count()
}

async fn has_sockets(watchman: &Watchman, owner: &Owner, stage: &Stage, n: usize) {
    stage
        .until(&format!("{n} sockets of {}", owner.name), WITHIN, |_| {
            sockets(watchman, owner) >= n
        })
        .await;
}

fn falls(stage: &Stage, position: &Position) {
    let price = price_at(position, position.margin, THRESHOLD + 0.05);
    stage.control.set_price(price).unwrap();
}

async fn recovered(watchman: &Watchman, stage: &Stage, kept: usize) {
    let recovered = watchman.until("journal.recovered").await;
    println!("{recovered}");
    assert_eq!(recovered["kept"], kept);
    assert_eq!(journal(stage).await, "stored");
    assert_eq!(watchman.count("journal.unwritten"), 0);
    let died = watchman.count("actor.died");
    assert_eq!(died, 0, "nobody was started anew: {}", watchman.told());
}

async fn figure(stage: &Stage, name: &str) -> f64 {
    let scrape = Scrape::of(stage).await;
    scrape.value(name, &[]).expect(name)
}

async fn a_position_is_opened(gone: Gone) {
    let mut stage = stage(gone).await;
    let (alice, first) = stage.guarded("alice", Deed::Add).await;
    // An account of which no position was ever seen.
    let bob = stage.owner("bob");
    stage.guard(&bob, Deed::Close).await;
    let stop = json!({ "action": "close_position", "metric": "margin_used",
        "margin_threshold": THRESHOLD, "cooldown_seconds": 0 });
    let carol = stage.owner("carol");
    stage
        .automate(&carol, RuleKind::MarginGuard, stop, true)
        .await;
    let mut way = gone.prepare(&stage);
    let watchman = stage.start();
    watchman.until_armed(1).await;
    has_sockets(&watchman, &alice, &stage, 1).await;
    way.goes(&mut stage).await;
    let before = watchman.count("automation.armed");
    let second = stage.open_position(&alice, 10).await;
    let third = stage.open_position(&bob, 10).await;
    stage
        .until("positions that are armed without the store", WITHIN, |_| {
            watchman.count("automation.armed") >= before + 2
        })
        .await;
    assert_eq!(journal(&stage).await, "in_file");
    falls(&stage, &second);
    acted(&stage, &watchman, &second, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &third, LedgerKind::Closed, 1).await;
    acted(&stage, &watchman, &first, LedgerKind::MarginAdded, 1).await;
    stage
        .until("three executions are done", WITHIN, |_| {
            watchman.count("execution.done") >= 3
        })
        .await;
    // Nobody wrote anything down of this one: it is armed in the store when that is back.
    let safe = stage.open_position(&carol, 2).await;
    stage
        .until("the last is armed", WITHIN, |_| {
            watchman.count("automation.armed") >= before + 3
        })
        .await;
    assert_eq!(figure(&stage, "vigia_intents_waiting").await, 3.0);
    assert!(figure(&stage, "vigia_intents_oldest_seconds").await > 0.0);
    assert!(figure(&stage, "vigia_intents_degraded_seconds").await > 0.0);
    let used = figure(&stage, "vigia_intents_bytes").await;
    let room = figure(&stage, "vigia_intents_limit_bytes").await;
    assert!(
        used > 1000.0 && used < room && room == 256.0 * 1024.0,
        "{used} of {room}"
    );
    way.is_back(&mut stage).await;
    recovered(&watchman, &stage, 3).await;
    for none in ["waiting", "oldest_seconds", "degraded_seconds", "set_aside"] {
        let figure = figure(&stage, &format!("vigia_intents_{none}")).await;
        assert_eq!(figure, 0.0, "{none}");
    }
    assert_eq!(trade(&stage.control, &safe, LedgerKind::Closed), 0);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 3], "{gone:?}");
}

async fn sockets_are_lost(gone: Gone) {
    let mut stage = stage(gone).await;
    let (alice, added) = stage.guarded("alice", Deed::Add).await;
    let (bob, closed) = stage.guarded("bob", Deed::Close).await;
    let mut way = gone.prepare(&stage);
    let watchman = stage.start();
    watchman.until_armed(2).await;
    for owner in [&alice, &bob] {
        has_sockets(&watchman, owner, &stage, 1).await;
    }
    way.goes(&mut stage).await;
    let from = stage.clock.mono();
    // All of them, the price feed's too.
    stage.control.drop_sockets(None);
    for owner in [&alice, &bob] {
        let lost = watchman.until_where("HTTP takes over", |line| {
            of(line, "transport.switched", owner) && line["to"] == "http"
        });
        lost.await;
        has_sockets(&watchman, owner, &stage, 2).await;
    }
    let again = stage.clock.mono() - from;
    assert_eq!(journal(&stage).await, "in_file");
    falls(&stage, &added);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    stage
        .until("two executions are done", WITHIN, |_| {
            watchman.count("execution.done") >= 2
        })
        .await;
    println!(
        "{gone:?}: all sockets lost, and open again after {} ms",
        again.as_millis()
    );
    let store = async |stage: &Stage| {
        let store = stage.store().await;
        let attempts = store.socket_attempts().await.unwrap().len();
        store.close().await;
        attempts
    };
    way.is_back(&mut stage).await;
    recovered(&watchman, &stage, 2).await;
    let opened = 2 * 3;
    assert!(store(&stage).await >= opened, "each attempt is counted");
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 2], "{gone:?}");
}

macro_rules! while_the_store_is_gone {
    ($($name:ident: $story:ident, $gone:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $story(Gone::$gone).await;
            }
        )*
    };
}

while_the_store_is_gone! {
    a_position_that_is_opened_on_a_full_disk_is_guarded: a_position_is_opened, DiskFull;
    a_position_that_is_opened_under_a_lock_is_guarded: a_position_is_opened, Locked;
    a_position_that_is_opened_without_a_server_is_guarded: a_position_is_opened, Stopped;
    sockets_lost_on_a_full_disk_are_opened_again: sockets_are_lost, DiskFull;
    sockets_lost_under_a_lock_are_opened_again: sockets_are_lost, Locked;
    sockets_lost_without_a_server_are_opened_again: sockets_are_lost, Stopped;
}
