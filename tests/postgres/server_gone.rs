//! PostgreSQL goes and comes back while the market falls.

use std::time::Duration;

use vigia::domain::execution::State;
use vigia::domain::position::Position;

use crate::server::Server;
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::Watchman;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Stopped,
    Killed,
    Frozen,
}

impl Fault {
    fn strike(self, server: &mut Server) {
        match self {
            Self::Stopped => server.stop(),
            Self::Killed => server.kill(),
            Self::Frozen => server.freeze(true),
        }
    }

    fn end(self, server: &mut Server) {
        match self {
            Self::Stopped | Self::Killed => server.start_again(),
            Self::Frozen => server.freeze(false),
        }
    }
}

/// A position under guard, its store on a server that is soon given up.
async fn watched() -> (Stage, Position, Watchman) {
    let windows = Windows {
        store_ms: 2000,
        ..Windows::default()
    };
    let stage = Stage::on(Some(Server::start()), windows).await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    (stage, position, watchman)
}

/// The trigger comes when the right to trade may be another's by now: nothing is added, loudly; when
/// the server is back, all goes on by itself. (`tests/operate` tells what goes on before that, and what
/// does all the same.)
async fn carried_out_when_it_is_back(fault: Fault) {
    let (mut stage, position, watchman) = watched().await;
    fault.strike(stage.server());
    watchman.until("ownership.stale").await;
    stage.endanger(&position);
    let loud = watchman.until_where("the store's failure", |line| line["what"] == "store_failed");
    loud.await;
    assert!(stage.effects().is_empty(), "{fault:?}");
    fault.end(stage.server());
    let saved = saved(&stage, &watchman).await;
    println!(
        "{fault:?}: saved {} ms after it was back",
        saved.as_millis()
    );
    watchman.until("ownership.renewed").await;
    let books = stage.agree_after_stop(watchman).await;
    assert_eq!(books.states(), [State::Done], "{fault:?}");
    assert_eq!(stage.effects().len(), 1, "{fault:?}");
}

async fn saved(stage: &Stage, watchman: &Watchman) -> Duration {
    let from = stage.clock.mono();
    stage
        .settled(watchman, |books| books.states().contains(&State::Done))
        .await;
    stage.clock.mono() - from
}

#[tokio::test]
async fn stopped_and_started_again() {
    carried_out_when_it_is_back(Fault::Stopped).await;
}

#[tokio::test]
async fn killed_and_started_again() {
    carried_out_when_it_is_back(Fault::Killed).await;
}

#[tokio::test]
async fn frozen_and_thawed() {
    carried_out_when_it_is_back(Fault::Frozen).await;
}

/// Between the answer of the exchange and its record.
#[tokio::test]
async fn what_was_sent_before_the_server_went_is_settled_when_it_is_back() {
    let (mut stage, position, watchman) = watched().await;
    stage.endanger(&position);
    let within = Duration::from_secs(10);
    stage
        .until("the effect", within, |control| {
            let added = |entry: &vigia::simulator::LedgerEntry| {
                entry.kind == vigia::simulator::LedgerKind::MarginAdded
            };
            control.ledger().iter().any(added)
        })
        .await;
    stage.server().kill();
    watchman.until("ownership.stale").await;
    stage.server().start_again();
    saved(&stage, &watchman).await;
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}
