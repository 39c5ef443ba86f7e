//! What a service manager is told: ready after the first reading of each account, fed for progress
//! alone, told of the stop.

use std::time::Duration;

use rustix::process::Signal;
use vigia::simulator::Fault;

use crate::manager::{Manager, address, ask, until_told};
use crate::server::Server;
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{SOON, Watchman, run_to_end};

/// After so long without a word the service manager would end the service.
const WATCHDOG: Duration = Duration::from_secs(2);
/// A part may take so long to get something done. Some look only every second.
const PROGRESS: &str = "[health]\nprogress_ms = 2500\n";
const FED: &str = "WATCHDOG=1";

fn managed(stage: &Stage, manager: &Manager) -> Watchman {
    let mut command = stage.run();
    manager.manages(&mut command, WATCHDOG);
    Watchman::of(command, stage.clock)
}

/// The longest time between two of these.
fn longest(times: &[Duration]) -> Duration {
    let gaps = times.windows(2).map(|two| two[1] - two[0]);
    gaps.max().unwrap_or(Duration::MAX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_comes_after_the_first_reading_of_each_account_and_the_stop_is_told() {
    let stage = Stage::configured(None, Windows::default(), PROGRESS).await;
    stage.guarded("alice", Deed::Close).await;
    stage.guarded("bob", Deed::Close).await;
    let unread = Fault::status(503);
    stage.control.inject(unread.on_key("key-bob")).unwrap();
    let manager = Manager::listening(stage.clock);
    let mut watchman = managed(&stage, &manager);
    manager
        .until("STATUS=starting: 2 accounts, 1 live, 1 not read yet")
        .await;
    let address = address(stage.data_dir());
    let (status, body) = ask(&address, "/readyz").await.unwrap();
    assert_eq!(status, 503, "{body}");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["waiting_for"], 1, "{body}");
    assert_eq!(report["live"], 1, "{body}");
    let (status, body) = ask(&address, "/healthz").await.unwrap();
    let alive = "alive\njobs: connected\njournal: stored\n";
    assert_eq!((status, body.as_str()), (200, alive));
    let heard = manager.heard();
    assert!(!manager.times("EXTEND_TIMEOUT_USEC=30000000").is_empty());
    assert!(
        heard.iter().all(|(_, line)| line != "READY=1"),
        "{heard:#?}"
    );
    assert_eq!(watchman.count("service.ready"), 0);

    let readable_at = stage.clock.awake();
    stage.control.clear_faults();
    let ready_at = manager.until("READY=1").await;
    let ready = watchman.until("service.ready").await;
    assert_eq!(ready["accounts"], 2);
    until_told(stage.clock, &address, "/readyz", |status, _| status == 200).await;
    manager.until("STATUS=2 accounts, 2 live").await;
    stage
        .until("the watchdog is fed", SOON, |_| {
            manager.times(FED).len() >= 8
        })
        .await;
    watchman.signal(Signal::TERM);
    let stopping_at = manager.until("STOPPING=1").await;
    let status = watchman.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", watchman.told());
    let fed = manager.times(FED);
    println!(
        "READY {} ms after the last account could be read; fed {} times, at most {} ms apart, by a \
         watchdog of {} ms; STOPPING {} ms after the last of them",
        (ready_at - readable_at).as_millis(),
        fed.len(),
        longest(&fed).as_millis(),
        WATCHDOG.as_millis(),
        (stopping_at - fed[fed.len() - 1]).as_millis(),
    );
    assert!(longest(&fed) < WATCHDOG);
    for once in ["READY=1", "STOPPING=1"] {
        assert_eq!(manager.times(once).len(), 1, "{once}");
    }
}

/// Only a person can help them: nobody waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_are_refused_are_told_and_hold_nobody_up() {
    let stage = Stage::configured(None, Windows::default(), PROGRESS).await;
    stage.guarded("alice", Deed::Close).await;
    stage.guarded("bob", Deed::Close).await;
    stage.guarded("carol", Deed::Close).await;
    stage.control.revoke_key("key-bob");
    let fault = Fault::GeoBlock.on_key("key-carol");
    stage.control.inject(fault).unwrap();
    let manager = Manager::listening(stage.clock);
    let watchman = managed(&stage, &manager);
    manager.until("READY=1").await;
    let told = "STATUS=3 accounts, 1 live, 1 unauthorized, 1 blocked";
    manager.until(told).await;
    let (status, body) = ask(&address(stage.data_dir()), "/readyz").await.unwrap();
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &report["unauthorized"], &report["blocked"]),
        (200, &1.into(), &1.into()),
        "{body}"
    );
    watchman.stop().await;
}

/// The trading thread stands still in the middle of a trigger; the timers of the other go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_stands_still_is_not_fed_for() {
    const STALL: Duration = Duration::from_millis(6000);
    let stage = Stage::configured(None, Windows::default(), PROGRESS).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let manager = Manager::listening(stage.clock);
    let mut command = stage.run();
    manager.manages(&mut command, WATCHDOG);
    let deed = format!("automation.fired=stall:{}", STALL.as_millis());
    command.env("VIGIA_FAILPOINT", deed);
    let watchman = Watchman::of(command, stage.clock);
    watchman.until_armed(1).await;
    manager.until("READY=1").await;
    let address = address(stage.data_dir());
    stage.endanger(&position);
    let late = |status, body: &str| status == 503 && body.contains("trading thread");
    let body = until_told(stage.clock, &address, "/healthz", late).await;
    assert!(body.starts_with("no progress: "), "{body}");
    manager.until("STATUS=no progress: ").await;
    watchman.until("watchdog.stalled").await;
    let well = |status, _: &str| status == 200;
    until_told(stage.clock, &address, "/healthz", well).await;
    watchman.until("watchdog.recovered").await;
    watchman.until("execution.done").await;
    let recovered_at = stage.clock.awake();
    manager.until_after(FED, recovered_at).await;
    let silent = longest(&manager.times(FED));
    println!(
        "a trading thread stalled for {} ms: not fed for {} ms, by a watchdog of {} ms",
        STALL.as_millis(),
        silent.as_millis(),
        WATCHDOG.as_millis()
    );
    assert!(silent > WATCHDOG, "the service manager would have ended it");
    watchman.stop().await;
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
}

/// Starting the process again brings no database back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_no_lack_of_progress() {
    // The supervisor may take so long for one look at the store, at most.
    const AWAY: Duration = Duration::from_secs(6);
    let windows = Windows {
        store_ms: 300,
        ..Windows::default()
    };
    let mut stage = Stage::configured(Some(Server::start()), windows, PROGRESS).await;
    stage.guarded("alice", Deed::Close).await;
    let manager = Manager::listening(stage.clock);
    let watchman = managed(&stage, &manager);
    manager.until("READY=1").await;
    stage.server().stop();
    watchman.until("ownership.stale").await;
    let since = stage.clock.awake();
    let address = address(stage.data_dir());
    while stage.clock.awake() < since + AWAY {
        let (status, body) = ask(&address, "/healthz").await.unwrap();
        assert_eq!(status, 200, "{body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fed = manager.times(FED);
    assert!(longest(&fed) < WATCHDOG, "{fed:?}");
    stage.server().start_again();
    watchman.until("ownership.renewed").await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_of_a_health_check_tells_by_its_exit_code() {
    let stage = Stage::configured(None, Windows::default(), PROGRESS).await;
    stage.guarded("alice", Deed::Close).await;
    let health = |more: &[&str]| stage.command(&[&["health"], more].concat());
    let none = run_to_end(&mut health(&[])).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no service answers"));
    let watchman = stage.start();
    watchman.until("service.ready").await;
    for more in [&[][..], &["--ready"]] {
        let well = run_to_end(&mut health(more)).await;
        assert_eq!(well.status.code(), Some(0), "{more:?}");
    }
    watchman.kill().await;
    let gone = run_to_end(&mut health(&[])).await;
    assert_eq!(gone.status.code(), Some(1), "killed, it answers no more");
    assert!(String::from_utf8_lossy(&gone.stderr).contains("does not answer"));
}

/// As systemd hands it over by an access list: shown as readable by a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_may_be_one_of_the_service_managers_credentials() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let credentials = tempfile::tempdir().unwrap();
    let key = credentials.path().join("master.key");
    std::fs::rename(stage.data_dir().join("master.key"), &key).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o440)).unwrap();
    let file = std::fs::read_to_string(stage.config_file()).unwrap();
    let keyless: Vec<_> = file
        .lines()
        .filter(|line| !line.starts_with("key_file"))
        .collect();
    std::fs::write(stage.config_file(), keyless.join("\n")).unwrap();
    let with = |by_name: bool| {
        let mut command = stage.run();
        command.env("CREDENTIALS_DIRECTORY", credentials.path());
        if by_name {
            command.env("VIGIA_KEY_FILE", &key);
        }
        Watchman::of(command, stage.clock)
    };
    for by_name in [false, true] {
        let watchman = with(by_name);
        let ready = watchman.until("service.ready").await;
        assert_eq!(ready["live"], 1, "{ready}");
        watchman.stop().await;
    }
    // The same file, handed over by nobody.
    let mut command = stage.run();
    command.env("VIGIA_KEY_FILE", &key);
    let refused = run_to_end(&mut command).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("others may read it"));
}
