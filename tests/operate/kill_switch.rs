//! The kill switch in a storm: from the answer on nothing more is let out, however much wants to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use vigia::domain::ids::AccountId;
use vigia::domain::rules::RuleKind;
use vigia::journal::Execution;
use vigia::simulator::{LedgerEntry, LedgerKind};

use crate::desk::Desk;
use crate::stage::{Stage, price_at};
use crate::watchman::{SOON, Watchman};

const ACCOUNTS: usize = 12;
/// Of everything, by HTTP and by the command line; of single accounts, by HTTP.
const FOR_ALL: usize = 35;
const BY_COMMAND: usize = 5;
const FOR_ONE: usize = 60;
/// A hundred prices a second.
const TICK: Duration = Duration::from_millis(10);
/// So long a switch is on, and so long after it things take their course again.
const ON: Duration = Duration::from_millis(100);
const OFF: Duration = Duration::from_millis(350);
/// What has been promised: by then nothing leaves any more.
const EFFECTIVE: Duration = Duration::from_millis(10);

/// So many lines of its log are shown of a watchman that does not act.
const LAST_WORDS: usize = 60;

/// One switch: on from the answer to the first request until that to the second was made.
struct Held {
    account: Option<AccountId>,
    key: Option<String>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Held {
    fn lets_out(&self, row: &Execution) -> bool {
        let of = self.account.as_ref().is_none_or(|id| *id == row.account);
        let at = row.sending_at;
        of && at.is_some_and(|at| at > self.from && at < self.until)
    }

    /// How long after the answer an effect was seen that the switch was to hold back.
    fn late(&self, entry: &LedgerEntry) -> Option<i64> {
        let of = self.key.as_ref().is_none_or(|key| *key == entry.key);
        let (from, until) = (self.from.timestamp_millis(), self.until.timestamp_millis());
        (of && entry.time > from && entry.time < until).then(|| entry.time - from)
    }
}

fn added(stage: &Stage) -> usize {
    let ledger = stage.control.ledger();
    let added = ledger
        .iter()
        .filter(|entry| entry.kind == LedgerKind::MarginAdded);
    added.count()
}

/// Its last words.
fn said(watchman: &Watchman) -> String {
    let lines = watchman.lines();
    let last = lines.iter().rev().take(LAST_WORDS).rev();
    last.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Waits until more has been added.
async fn acts(stage: &Stage, watchman: &Watchman, what: &str, more: usize) {
    let (before, deadline) = (added(stage), stage.clock.mono() + SOON);
    while added(stage) < before + more {
        if stage.clock.mono() > deadline {
            let added = added(stage) - before;
            panic!("{what}: {added} of {more}; {}", said(watchman));
        }
        tokio::time::sleep(TICK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_answer_on_nothing_is_let_out_in_a_storm_of_triggers() {
    let stage = Stage::set().await;
    let mut accounts = vec![];
    let mut position = None;
    for number in 0..ACCOUNTS {
        let name = format!("a{number}");
        let owner = stage.owner(&name);
        position = Some(stage.open_position(&owner, 10).await);
        // Never enough: it fires again and again.
        let rule = json!({
            "metric": "margin_used", "margin_threshold": 0.7, "cooldown_seconds": 0,
            "action": "add_margin", "add_margin_amount": 1,
        });
        stage
            .automate(&owner, RuleKind::MarginGuard, rule, true)
            .await;
        accounts.push(name);
    }
    let position = position.unwrap();
    let watchman = stage.start();
    watchman.until_armed(ACCOUNTS).await;
    let desk = Desk::of(&stage, &watchman).await;
    let store = stage.store().await;
    let calm = Arc::new(AtomicBool::new(false));
    let prices = [0.75, 0.8].map(|lost| price_at(&position, position.margin, lost));
    let (control, ends) = (stage.control.clone(), Arc::clone(&calm));
    let ticking = tokio::spawn(async move {
        for price in prices.into_iter().cycle() {
            if ends.load(Ordering::Relaxed) {
                break;
            }
            control.set_price(price).unwrap();
            tokio::time::sleep(TICK).await;
        }
    });
    acts(&stage, &watchman, "all accounts act", 5 * ACCOUNTS).await;

    let mut held = vec![];
    for number in 0..FOR_ALL + BY_COMMAND {
        let by_command = number >= FOR_ALL;
        if by_command {
            stage
                .cli(&["kill-switch", "on", "--reason", "a test"])
                .await
                .ok()
                .says(&["everything"]);
        } else {
            desk.put("/v1/kill-switches/service", json!({ "reason": "a test" }))
                .await
                .ok();
        }
        let from = stage.clock.utc();
        tokio::time::sleep(ON).await;
        let until = stage.clock.utc();
        if by_command {
            stage.cli(&["kill-switch", "off"]).await.ok();
        } else {
            desk.delete("/v1/kill-switches/service").await.ok();
        }
        let (account, key) = (None, None);
        held.push(Held {
            account,
            key,
            from,
            until,
        });
        tokio::time::sleep(OFF).await;
    }
    for number in 0..FOR_ONE {
        let name = &accounts[number % ACCOUNTS];
        let path = format!("/v1/kill-switches/account/{name}");
        desk.put(&path, json!({})).await.ok();
        let from = stage.clock.utc();
        tokio::time::sleep(ON).await;
        let until = stage.clock.utc();
        desk.delete(&path).await.ok();
        let account = Some(store.account(name).await.unwrap().id);
        let key = Some(format!("key-{name}"));
        held.push(Held {
            account,
            key,
            from,
            until,
        });
    }
    assert!(
        desk.get("/v1/kill-switches").await.ok()["killSwitches"]
            .as_array()
            .unwrap()
            .is_empty()
    );

    // Guards go on where the switch lets protective actions through.
    let protective = json!({ "allowsProtective": true });
    desk.put("/v1/kill-switches/service", protective).await.ok();
    acts(&stage, &watchman, "guards go on", ACCOUNTS).await;
    desk.delete("/v1/kill-switches/service").await.ok();
    calm.store(true, Ordering::Relaxed);
    ticking.await.unwrap();
    desk.put("/v1/kill-switches/service", json!({})).await.ok();
    store.close().await;
    // What was kept in the file of intents is taken over before it stops.
    let recovered = || watchman.count("journal.degraded") <= watchman.count("journal.recovered");
    let deadline = stage.clock.mono() + 2 * SOON;
    while !recovered() {
        assert!(
            stage.clock.mono() < deadline,
            "not taken over: {}",
            said(&watchman)
        );
        tokio::time::sleep(TICK).await;
    }
    let outages = watchman.count("journal.degraded");
    let books = stage.agree_after_stop(watchman).await;

    let let_out = |held: &Held| {
        books
            .executions
            .iter()
            .filter(|row| held.lets_out(row))
            .count()
    };
    let after: Vec<_> = held.iter().map(let_out).collect();
    let ledger = stage.effects();
    let mut late: Vec<_> = held
        .iter()
        .map(|held| {
            ledger
                .iter()
                .filter_map(|entry| held.late(entry))
                .max()
                .unwrap_or(0)
        })
        .collect();
    late.sort_unstable();
    let of_all = &books.executions;
    let span = (of_all.last().unwrap().created_at - of_all[0].created_at).num_milliseconds();
    let on = ON.as_millis() as f64 * (FOR_ALL + BY_COMMAND) as f64;
    let otherwise = of_all.len() as f64 / (span as f64 - on) * on;
    println!(
        "{} switches under {} executions in {:.1} s: let out after the answer {}, where some {otherwise:.0} would have been; the last effect seen \
         after it: median {} ms, p95 {} ms, longest {} ms; the store was too slow {outages} times",
        held.len(),
        of_all.len(),
        span as f64 / 1e3,
        after.iter().sum::<usize>(),
        late[late.len() / 2],
        late[late.len() * 95 / 100],
        late[late.len() - 1],
    );
    assert_eq!(after.iter().sum::<usize>(), 0, "{after:?}");
    // What had been let out before the answer is seen when this machine comes to it, however busy it
    // is; of most switches that is nothing at all.
    let most = late[late.len() / 2];
    assert!(most <= EFFECTIVE.as_millis() as i64, "{late:?}");
}
