//! A stop while many accounts start: nothing is in hand, so nothing is waited for. And a stop of the
//! simulator.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use vigia::domain::ids::UserId;
use vigia::domain::rules::RuleKind;
use vigia::simulator::Fault;
use vigia::store::{NewAccount, NewAutomation};

use crate::scrape::{tree, until_within};
use crate::stage::{NETWORK, Stage, THRESHOLD, USER};
use crate::watchman::{SOON, Watchman};

const MANY: usize = 1000;
/// As many as one service may have.
const MOST: usize = 10_000;
/// In an unoptimised build, on a machine that has other things to do. The deadline of a stop, which only
/// what is in hand may use up, is longer.
const MANY_END_WITHIN: Duration = Duration::from_secs(5);
const MOST_END_WITHIN: Duration = Duration::from_secs(10);

/// Accounts under guard.
async fn crowd(stage: &Stage, many: usize) {
    let store = stage.store().await;
    let now = stage.clock.utc();
    for number in 0..many {
        let owner = stage.owner(&format!("account-{number:05}"));
        let new = NewAccount {
            user_id: UserId::new(USER),
            name: owner.name,
            network: NETWORK.to_owned(),
            credentials: owner.credentials,
        };
        let account = store.add_account(new, now).await.unwrap();
        let guard = NewAutomation {
            account: account.id,
            kind: RuleKind::MarginGuard,
            config: json!({
                "action": "close_position", "metric": "margin_used",
                "margin_threshold": THRESHOLD, "cooldown_seconds": 0,
            }),
            live: true,
            active: true,
        };
        store.add_automation(guard, now).await.unwrap();
    }
    store.close().await;
}

/// Stops it, and says how long that took.
async fn end(stage: &Stage, mut watchman: Watchman) -> Duration {
    let begun = stage.clock.mono();
    watchman.signal(Signal::TERM);
    let status = watchman.ended(20 * SOON).await;
    assert_eq!(status.code(), Some(0), "{}", watchman.told());
    assert_eq!(watchman.count("service.stopped"), 1);
    stage.clock.mono() - begun
}

/// Stops it as soon as it has started, and then while all accounts wait for an
/// exchange that does not answer.
async fn ends(many: usize, within: Duration) {
    let stage = Stage::in_a_file().await;
    crowd(&stage, many).await;
    stage.control.inject(Fault::Hang { apply: false }).unwrap();

    let watchman = stage.start();
    watchman.until("service.started").await;
    let at_once = end(&stage, watchman).await;

    let watchman = stage.start();
    watchman.until("service.started").await;
    until_within(20 * SOON, "all accounts start", &watchman, || async {
        let summary = tree(&stage, "").await.summary;
        (summary.accounts == many).then_some(())
    })
    .await;
    let unanswered = end(&stage, watchman).await;

    println!(
        "{many} accounts that start: stopped {} ms after SIGTERM at once, {} ms with all of them there",
        at_once.as_millis(),
        unanswered.as_millis()
    );
    assert!(at_once < within, "{at_once:?}");
    assert!(unanswered < within, "{unanswered:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_accounts_that_start_do_not_hold_up_a_stop() {
    ends(MANY, MANY_END_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_ten_thousand() {
    if std::env::var_os("VIGIA_LONG").is_some() {
        ends(MOST, MOST_END_WITHIN).await;
    }
}

/// As the first process of a container it has no default to be ended by.
#[tokio::test]
async fn the_simulator_ends_well_at_a_signal() {
    use std::io::{BufRead, BufReader};
    let mut simulator = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"))
        .args(["simulator", "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(simulator.stdout.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    assert!(first.starts_with("REST "), "{first}");
    let pid = rustix::process::Pid::from_child(&simulator);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(simulator.wait().unwrap().code(), Some(0));
}
