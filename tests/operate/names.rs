//! Names cannot be resolved: the exchange's, its database's. What was found goes on where it was found,
//! what was never found is told and comes by itself.

use std::time::Duration;

use serde_json::Value;
use vigia::domain::execution::State;
use vigia::simulator::LedgerKind;

use crate::name_server::{NameServer, Names};
use crate::outage::acted;
use crate::server::Server;
use crate::stage::{Deed, Owner, Stage, Windows};
use crate::watchman::Watchman;

const WITHIN: Duration = Duration::from_secs(20);

/// Everything that the service reaches it reaches by name.
async fn by_name(server: Option<Server>) -> Stage {
    let windows = Windows {
        store_ms: 1000,
        lease_ms: [500, 60_000, 90_000],
        ..Windows::default()
    };
    let more = "[journal]\nintents_kib = 512\n[health]\nprogress_ms = 60000\n";
    let stage = Stage::configured(server, windows, more).await;
    let text = std::fs::read_to_string(stage.config_file()).unwrap();
    assert!(text.matches("127.0.0.1").count() >= 2, "{text}");
    std::fs::write(stage.config_file(), text.replace("127.0.0.1", "localhost")).unwrap();
    stage
}

fn start(stage: &Stage, names: &NameServer) -> Watchman {
    Watchman::of(names.asked_by(&stage.run()), stage.clock)
}

fn unresolved(goes_on: bool) -> impl Fn(&Value) -> bool {
    move |line| line["event"] == "name.unresolved" && line["goes_on"] == goes_on
}

async fn has_sockets(watchman: &Watchman, owner: &Owner, stage: &Stage, n: usize) {
    let count = || {
        let lines = watchman.lines();
        let of = |line: &&Value| {
            line["event"] == "transport.switched"
                && line["account_name"] == owner.name.as_str()
                && line["to"] == "websocket"
        };
        lines.iter().filter(of).count()
    };
    let what = format!("{n} sockets: {}", watchman.told());
    stage.until(&what, WITHIN, |_| count() >= n).await;
}

fn nobody_died(watchman: &Watchman) {
    assert_eq!(watchman.count("actor.died"), 0, "{}", watchman.told());
}

async fn gone_while_it_runs(gone: Names) {
    let names = NameServer::start(Names::Known);
    let stage = by_name(None).await;
    let (alice, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let watchman = start(&stage, &names);
    watchman.until_armed(2).await;
    has_sockets(&watchman, &alice, &stage, 1).await;
    names.are(gone);
    // Those that are open go on; these must be opened anew.
    stage.control.drop_sockets(None);
    let told = watchman.until_where("that the name is gone", unresolved(true));
    println!("{gone:?}: {}", told.await);
    has_sockets(&watchman, &alice, &stage, 2).await;
    stage.endanger(&added);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    names.are(Names::Known);
    stage.control.drop_sockets(None);
    watchman.until("name.resolved").await;
    has_sockets(&watchman, &alice, &stage, 3).await;
    nobody_died(&watchman);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 2]);
}

#[tokio::test]
async fn the_exchange_is_found_where_it_was_while_the_name_server_is_silent() {
    gone_while_it_runs(Names::Silent).await;
}

#[tokio::test]
async fn the_exchange_is_found_where_it_was_while_the_name_server_denies_it() {
    gone_while_it_runs(Names::Denied).await;
}

/// Nobody has ever found it: that is told, and nobody needs to be started again when it can be.
#[tokio::test]
async fn a_service_that_starts_without_names_guards_as_soon_as_they_are_there() {
    let names = NameServer::start(Names::Denied);
    let stage = by_name(None).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    stage.endanger(&position);
    let watchman = start(&stage, &names);
    watchman
        .until_where("that it was never found", unresolved(false))
        .await;
    let told = watchman
        .until_where("why the account cannot be read", |line| {
            line["event"] == "reading.failed"
                && line["error"]
                    .as_str()
                    .is_some_and(|error| error.contains("the name localhost cannot be resolved"))
        })
        .await;
    assert_eq!(told["account_name"], "alice", "{told}");
    assert_eq!(stage.control.ledger().len(), 1, "the position alone");
    names.are(Names::Known);
    let from = stage.clock.mono();
    acted(&stage, &watchman, &position, LedgerKind::Closed, 1).await;
    println!(
        "guarded {} ms after the name could be resolved",
        (stage.clock.mono() - from).as_millis()
    );
    watchman.until("name.resolved").await;
    nobody_died(&watchman);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done]);
}

/// The database comes back and cannot be found: what protects goes on by the file, until it can.
#[tokio::test]
async fn a_database_whose_name_is_gone_is_taken_up_again_when_it_is_known() {
    let names = NameServer::start(Names::Known);
    let mut stage = by_name(Some(Server::start())).await;
    let (_, added) = stage.guarded("alice", Deed::Add).await;
    let (_, closed) = stage.guarded("bob", Deed::Close).await;
    let watchman = start(&stage, &names);
    watchman.until_armed(2).await;
    names.are(Names::Denied);
    stage.server().stop();
    stage.server().start_again();
    stage.endanger(&added);
    acted(&stage, &watchman, &added, LedgerKind::MarginAdded, 1).await;
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    stage
        .until("both are done", WITHIN, |_| {
            watchman.count("execution.done") >= 2
        })
        .await;
    assert_eq!(watchman.count("journal.recovered"), 0);
    let cause = watchman.until("journal.degraded").await;
    names.are(Names::Known);
    let recovered = watchman.until("journal.recovered").await;
    println!("{cause}\n{recovered}");
    assert_eq!(recovered["kept"], 2);
    nobody_died(&watchman);
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done; 2]);
}
