//! One process trades an account, whichever machine it is on, and another takes its place.

use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use vigia::domain::execution::State;

use crate::server::Server;
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{SOON, Watchman, run_to_end};

/// A lease that does not end while a test runs.
const LONG: Windows = Windows {
    lease_ms: [200, 500, 600_000],
    ..SHORT
};
const SHORT: Windows = Windows {
    validity_ms: 1500,
    safety_ms: 500,
    stop_ms: 10_000,
    store_ms: 5000,
    lease_ms: [200, 500, 900],
};
/// Those of `config/default.toml`.
const REAL: Windows = Windows {
    lease_ms: [2000, 5000, 9000],
    ..SHORT
};

async fn stage(windows: Windows) -> Stage {
    Stage::on(Some(Server::start()), windows).await
}

/// A process that waits for its turn, in a data folder of its own.
struct Standby {
    watchman: Watchman,
    _folder: TempDir,
}

impl Standby {
    async fn of(stage: &Stage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = stage.run_in(folder.path());
        command.arg("--standby");
        let watchman = Watchman::of(command, stage.clock);
        watchman.until("ownership.waiting").await;
        Self {
            watchman,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn a_second_one_ends_and_names_the_first_and_touches_nothing() {
    let stage = stage(SHORT).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let mut first = stage.start();
    first.until_armed(1).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let second = run_to_end(&mut stage.run_in(elsewhere.path())).await;
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    let holder = format!("pid {} on host", first.pid());
    assert!(
        told.contains(&holder) && told.contains("--standby"),
        "{told}"
    );
    assert!(first.is_running());
    stage.endanger(&position);
    first.until("execution.done").await;
    stage.agree_after_stop(first).await;
    assert_eq!(stage.effects().len(), 1);
}

/// Kills the owner at a place; the standby saves the position, once.
async fn saved_by_the_standby(place: &str, deed: Deed) {
    let stage = stage(SHORT).await;
    let (_, position) = stage.guarded("alice", deed).await;
    let mut doomed = stage.start_to_die_at(place);
    doomed.until_armed(1).await;
    let standby = Standby::of(&stage).await;
    stage.endanger(&position);
    doomed.died().await;
    let died_at = stage.clock.mono();
    standby.watchman.until("ownership.taken").await;
    let took = stage.clock.mono() - died_at;
    println!(
        "{place}: the standby took over {} ms later",
        took.as_millis()
    );
    let books = stage
        .settled(&standby.watchman, |books| {
            books.states().contains(&State::Done)
        })
        .await;
    stage.agree_after_stop(standby.watchman).await;
    assert_eq!(
        stage.effects().len(),
        1,
        "{:#?}\n{books:#?}",
        stage.effects()
    );
}

macro_rules! places {
    ($($place:ident: $text:literal,)*) => { $(
        mod $place {
            use super::*;

            #[tokio::test]
            async fn margin_is_added_once() {
                saved_by_the_standby($text, Deed::Add).await;
            }

            #[tokio::test]
            async fn the_position_is_closed_once() {
                saved_by_the_standby($text, Deed::Close).await;
            }
        }
    )* };
}

places! {
    killed_when_fired: "automation.fired",
    killed_when_planned: "execution.planned",
    killed_when_sending: "execution.sending",
    killed_when_answered: "execution.answered",
    killed_when_recorded: "execution.recorded",
}

/// What a request may be signed anew within, after its first signature, is not shortened here; so
/// what comes after it, the margin of a proof, cannot be either.
const FROZEN: Windows = Windows {
    safety_ms: 5500,
    ..SHORT
};

/// Stopped at a moment of its work, and woken when another has its place.
async fn sends_nothing_when_it_wakes_and_ends(after: Duration) {
    let stage = stage(FROZEN).await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let mut first = stage.start();
    first.until_armed(1).await;
    let standby = Standby::of(&stage).await;
    stage.endanger(&position);
    tokio::time::sleep(after).await;
    first.signal(Signal::STOP);
    standby.watchman.until("ownership.taken").await;
    stage
        .settled(&standby.watchman, |books| {
            books.states().contains(&State::Done)
        })
        .await;
    first.signal(Signal::CONT);
    first.until("ownership.lost").await;
    let status = first.ended(SOON).await;
    assert_eq!(status.code(), Some(1), "{}", first.told());
    stage.agree_after_stop(standby.watchman).await;
    assert_eq!(stage.effects().len(), 1, "after {after:?}");
}

macro_rules! moments {
    ($($moment:ident: $micros:literal,)*) => {
        mod an_owner_that_stood_still_too_long_sends_nothing_when_it_wakes_and_ends {
            use super::*;
            $(

            #[tokio::test]
            async fn $moment() {
                sends_nothing_when_it_wakes_and_ends(Duration::from_micros($micros)).await;
            }
            )*
        }
    };
}

moments! {
    stopped_at_once: 0,
    stopped_after_1_ms: 1_000,
    stopped_after_3_ms: 3_000,
    stopped_after_6_ms: 6_000,
    stopped_after_10_ms: 10_000,
    stopped_after_20_ms: 20_000,
}

#[tokio::test]
async fn one_that_stops_in_order_is_followed_at_once() {
    let stage = stage(LONG).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until_armed(1).await;
    let standby = Standby::of(&stage).await;
    first.stop().await;
    standby.watchman.until_armed(1).await;
    stage.endanger(&position);
    standby.watchman.until("execution.done").await;
    stage.agree_after_stop(standby.watchman).await;
}

#[tokio::test]
async fn one_that_was_killed_comes_back_in_its_own_folder_without_waiting() {
    let stage = stage(LONG).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until_armed(1).await;
    first.kill().await;
    let again = stage.start();
    again.until_armed(1).await;
    stage.endanger(&position);
    again.until("execution.done").await;
    stage.agree_after_stop(again).await;
}

#[tokio::test]
async fn a_standby_that_is_stopped_ends_well_and_one_in_the_same_folder_takes_over_too() {
    let stage = stage(SHORT).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until_armed(1).await;
    let mut idle = Standby::of(&stage).await;
    idle.watchman.signal(Signal::TERM);
    let status = idle.watchman.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", idle.watchman.told());
    let mut command = stage.run();
    command.arg("--standby");
    let same_folder = Watchman::of(command, stage.clock);
    same_folder.until("ownership.waiting").await;
    first.kill().await;
    same_folder.until_armed(1).await;
    stage.endanger(&position);
    same_folder.until("execution.done").await;
    stage.agree_after_stop(same_folder).await;
}

#[tokio::test]
#[ignore = "takes as long as a real lease"]
async fn a_standby_guards_within_ten_seconds_of_a_kill() {
    let stage = stage(REAL).await;
    stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until_armed(1).await;
    let standby = Standby::of(&stage).await;
    first.kill().await;
    let died_at = stage.clock.mono();
    standby.watchman.until_armed(1).await;
    let took = stage.clock.mono() - died_at;
    println!("the standby guarded {} ms after the kill", took.as_millis());
    assert!(took <= Duration::from_secs(10), "{took:?}");
    standby.watchman.stop().await;
}
