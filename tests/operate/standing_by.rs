//! A process that waits for its turn: alive, not ready, and found by who looks for it.

use std::time::Duration;

use tempfile::TempDir;

use crate::manager::{Manager, address, ask, until_told};
use crate::server::Server;
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{Watchman, run_to_end, vigia};

const WATCHDOG: Duration = Duration::from_secs(2);
const FED: &str = "WATCHDOG=1";

/// Its store is on a server, its data folder is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_alive_and_becomes_ready_at_the_same_address_when_it_takes_over() {
    let stage = Stage::on(Some(Server::start()), Windows::default()).await;
    stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until("service.ready").await;
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::listening(stage.clock);
    let mut command = stage.run_in(folder.path());
    command.arg("--standby");
    manager.manages(&mut command, WATCHDOG);
    let standby = Watchman::of(command, stage.clock);
    standby.until("ownership.waiting").await;
    // Its start is over: it was started to wait.
    manager.until("READY=1").await;
    let holder = format!("STATUS=standing by, while pid {} on host", first.pid());
    manager.until(&holder).await;
    let address = written(&stage, &folder).await;
    let (status, body) = ask(&address, "/healthz").await.unwrap();
    assert_eq!((status, body.as_str()), (200, "alive, standing by\n"));
    let (status, body) = ask(&address, "/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("\"standing_by\":true"), "{body}");
    let (status, body) = ask(&address, "/v1/status").await.unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("stands by"), "{body}");
    for (more, code) in [(&[][..], 0), (&["--ready"][..], 1)] {
        let mut health = vigia();
        health.args(["health", "--data-dir"]).arg(folder.path());
        let told = run_to_end(health.args(more)).await;
        assert_eq!(told.status.code(), Some(code), "{more:?}: {told:?}");
    }
    let fed = || manager.times(FED).len();
    stage
        .until("it is fed", crate::watchman::SOON, |_| fed() >= 3)
        .await;
    first.kill().await;
    until_told(stage.clock, &address, "/readyz", |status, _| status == 200).await;
    manager.until("STATUS=1 accounts, 1 live").await;
    assert_eq!(manager.times("READY=1").len(), 2, "again, once it trades");
    standby.stop().await;
    let times = manager.times(FED);
    let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    assert!(longest < WATCHDOG, "{longest:?} of {} times", times.len());
}

async fn written(stage: &Stage, folder: &TempDir) -> String {
    let file = folder.path().join("admin.json");
    stage
        .until("admin.json", crate::watchman::SOON, |_| file.exists())
        .await;
    address(folder.path())
}

/// On one machine, one folder and one port: the first has both until it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_a_port_that_was_taken() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let admin = format!("[admin]\nlisten = \"{address}\"\n");
    let stage = Stage::configured(None, Windows::default(), &admin).await;
    stage.guarded("alice", Deed::Close).await;
    let first = stage.start();
    first.until("service.ready").await;
    let mut command = stage.run();
    command.arg("--standby");
    let standby = Watchman::of(command, stage.clock);
    standby.until("admin.taken").await;
    standby.until("ownership.waiting").await;
    let (status, _) = ask(&address, "/readyz").await.unwrap();
    assert_eq!(status, 200, "the first one's");
    first.kill().await;
    standby.until("service.ready").await;
    until_told(stage.clock, &address, "/readyz", |status, _| status == 200).await;
    standby.stop().await;
}
