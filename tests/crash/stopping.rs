//! SIGTERM.

use std::time::Duration;

use rustix::process::Signal;
use vigia::domain::execution::State;
use vigia::simulator::Fault;

use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{SOON, Watchman};

/// Much less than any deadline of the service.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A watchman whose add is on its way, and answered as the fault has it.
async fn sending(stage: &Stage, fault: Fault) -> Watchman {
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let fault = fault.on_route(Deed::Add.route()).times(1);
    stage.control.inject(fault).unwrap();
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    stage.request_arrived().await;
    watchman
}

/// It was sent once, and the next process proves it.
async fn proven_later(stage: &Stage) {
    let watchman = stage.start();
    stage
        .settled(&watchman, |books| books.states() == [State::Done])
        .await;
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}

/// As in `vigia check | head`.
#[tokio::test]
async fn that_nobody_reads_on_ends_no_command_with_a_panic() {
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    for arguments in [&["check", "--offline"][..], &["check", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = stage.command(arguments);
        let mut child = command.stdout(writer).spawn().unwrap();
        // The command holds the other end of the pipe, too.
        drop(command);
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap());
        assert_eq!(status.await.unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn an_idle_service_ends_well_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let stage = Stage::set().await;
        stage.guarded("alice", Deed::Close).await;
        let mut watchman = stage.start();
        watchman.until_armed(1).await;
        watchman.signal(signal);
        let status = watchman.ended(AT_ONCE).await;
        assert_eq!(status.code(), Some(0), "{}", watchman.told());
        assert_eq!(watchman.count("service.stopped"), 1);
        assert!(
            !stage.database().with_extension("db-wal").exists(),
            "flushed"
        );
    }
}

/// It must not matter how far it had come.
#[tokio::test]
async fn a_service_that_is_still_starting_ends_well() {
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let mut watchman = stage.start();
    watchman.until_where("its first word", |_| true).await;
    watchman.signal(Signal::TERM);
    let status = watchman.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{status} {}", watchman.told());
}

#[tokio::test]
async fn an_execution_under_way_ends_before_the_exit() {
    let stage = Stage::set().await;
    let mut watchman = sending(&stage, Fault::DelayReply { ms: 1000 }).await;
    watchman.signal(Signal::TERM);
    let status = watchman.ended(SOON).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(watchman.count("execution.done"), 1, "{}", watchman.told());
    let books = stage.books().await;
    assert_eq!(books.states(), [State::Done]);
    assert_eq!((books.audit.len(), stage.effects().len()), (1, 1));
}

/// No answer comes: it is proven by reading, within the deadline.
#[tokio::test]
async fn an_execution_that_hangs_is_proven_before_the_exit() {
    let stage = Stage::set().await;
    let mut watchman = sending(&stage, Fault::Hang { apply: true }).await;
    watchman.signal(Signal::TERM);
    let status = watchman.ended(SOON).await;
    assert_eq!(status.code(), Some(0));
    let books = stage.books().await;
    assert_eq!(books.states(), [State::Done], "{}", watchman.told());
    assert_eq!((books.audit.len(), stage.effects().len()), (1, 1));
}

#[tokio::test]
async fn what_outlasts_the_deadline_is_told_and_proven_later() {
    let stage = Stage::with(Windows {
        stop_ms: 300,
        ..Windows::default()
    })
    .await;
    let mut watchman = sending(&stage, Fault::Hang { apply: true }).await;
    watchman.signal(Signal::TERM);
    let status = watchman.ended(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));
    let stopped = watchman.until("service.stopped").await;
    assert_eq!(stopped["left"], 1);
    proven_later(&stage).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let stage = Stage::set().await;
    let mut watchman = sending(&stage, Fault::Hang { apply: true }).await;
    watchman.signal(Signal::TERM);
    watchman.until("service.stopping").await;
    watchman.signal(Signal::TERM);
    let status = watchman.ended(AT_ONCE).await;
    assert_eq!(status.code(), Some(130), "{status}");
    proven_later(&stage).await;
}
