//! How much is logged of a thousand accounts: what is not well at once, the rest in turn.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use vigia::simulator::Fault;

use crate::stage::{Stage, Windows};
use crate::watchman::Watchman;

const ACCOUNTS: usize = 1000;
/// Times are a sixtieth of the real ones, so a line a second stands for one a minute.
const FASTER: u32 = 60;
const PERIOD: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(10);
/// Long enough for a full round.
const WATCHED: Duration = Duration::from_secs(12);
const SETTLED: Duration = Duration::from_secs(3);
const STARTED_WITHIN: Duration = Duration::from_secs(90);

async fn until(stage: &Stage, watchman: &Watchman, wanted: impl Fn(&Value) -> bool) {
    let deadline = stage.clock.mono() + STARTED_WITHIN;
    while !watchman.lines().iter().rev().any(&wanted) {
        assert!(
            stage.clock.mono() < deadline,
            "{} lines",
            watchman.lines().len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The lines of a time by their event, and by account where they are of health.
fn counted(lines: &[Value]) -> (HashMap<String, usize>, HashMap<String, usize>) {
    let (mut events, mut accounts) = (HashMap::new(), HashMap::new());
    for line in lines {
        let event = line["event"].as_str().unwrap_or("none").to_owned();
        if event == "health" {
            let name = line["account_name"].as_str().unwrap().to_owned();
            *accounts.entry(name).or_default() += 1;
        }
        *events.entry(event).or_default() += 1;
    }
    (events, accounts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_accounts_a_log_stays_readable() {
    let times = format!(
        "[health]\nperiod_ms = {}\nfull_ms = {}\n",
        PERIOD.as_millis(),
        ROUND.as_millis()
    );
    let stage = Stage::configured(None, Windows::default(), &times).await;
    // Readings at their usual pace, lines as usual.
    let file = std::fs::read_to_string(stage.config_file()).unwrap();
    let calm = file
        .replace("read_far_ms = 1000", "read_far_ms = 30000")
        .replace("info,vigia=debug", "info");
    std::fs::write(stage.config_file(), calm).unwrap();
    let owners: Vec<_> = (0..ACCOUNTS)
        .map(|n| stage.owner(&format!("account-{n:04}")))
        .collect();
    stage.take_in(&owners).await;
    let unwell = &owners[7];
    let fault = Fault::RevokedKey.on_key(&format!("key-{}", unwell.name));
    stage.control.inject(fault).unwrap();
    let watchman = stage.start();
    until(&stage, &watchman, |line| line["event"] == "service.ready").await;
    // Sockets are opened one after the other, and each is told.
    tokio::time::sleep(SETTLED).await;
    let before = watchman.lines().len();
    tokio::time::sleep(WATCHED).await;
    let lines = watchman.lines().split_off(before);
    let (events, accounts) = counted(&lines);
    if let Some(line) = lines.iter().find(|line| line["event"].is_null()) {
        println!("a line without an event: {line}");
    }
    let minutes = WATCHED.as_secs_f64() / 60.0 * f64::from(FASTER);
    let a_minute = lines.len() as f64 / minutes;
    println!(
        "{ACCOUNTS} accounts, one of them unwell: {a_minute:.0} lines a minute (at the usual periods), \
         {:.1} of them of health in turn; {events:?}",
        accounts.len() as f64 / minutes
    );
    // Two summaries and two lines of each other actor a minute, two of whoever is unwell, and everybody
    // once in ten minutes.
    let most = 2.0 * OTHERS as f64 + 2.0 + ACCOUNTS as f64 / 10.0;
    assert!(a_minute < most * 1.1, "{a_minute} of {most}: {events:?}");
    let told = accounts.len();
    assert!(told >= ACCOUNTS * 99 / 100, "everybody in turn: {told}");
    let periods = (WATCHED.as_secs_f64() / PERIOD.as_secs_f64()) as usize;
    let of_unwell = accounts.get(&unwell.name).copied().unwrap_or(0);
    assert!(of_unwell >= periods - 2, "{of_unwell} of {periods}");
    watchman.stop().await;
}

/// Whoever has a line each period beside accounts: the summary, the price feed, the intake, the audit
/// log, the queue of jobs.
const OTHERS: usize = 5;
