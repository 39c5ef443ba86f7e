//! Which job goes first, which need not be done twice, which comes too late; and accounts whose
//! exchange hangs while another must be saved.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vigia::domain::ids::AutomationId;
use vigia::domain::position::Position;
use vigia::domain::rules::RuleKind;
use vigia::queue::{JobState, NewJob};
use vigia::simulator::{Fault, LedgerKind};

use crate::scene::{Backend, CLOSE, Player, Scene, USER, buying, closing, job, moving};
use crate::stage::{THRESHOLD, price_at};
use crate::waiting::until;
use crate::watchman::Watchman;

/// At which 70 % of the margin of a long of 10x, opened at 100,000, are lost.
const DANGER: f64 = 93_000.0;

/// Names of accounts in the order in which something was sent for them.
fn order(watchman: &Watchman) -> Vec<String> {
    let lines = watchman.lines();
    let sent = lines
        .iter()
        .filter(|line| line["event"] == "execution.sending");
    sent.map(|line| line["account_name"].as_str().unwrap().to_owned())
        .collect()
}

/// A scene whose one place for a job is taken, for so long, by an account whose exchange is slow.
async fn busy(values: &[(&str, i64)], slow_ms: u64) -> (Scene, Player, AutomationId) {
    let values = [&[("queue.concurrency", 1), ("queue.poll_ms", 100)], values].concat();
    let scene = Scene::on(Backend::Sqlite, &values).await;
    let (busy, _) = scene.trader("busy").await;
    let guard = scene.by_job(&busy, RuleKind::MarginGuard, closing()).await;
    let slow = Fault::DelayReply { ms: slow_ms };
    let slow = slow.on_key(&busy.key()).on_route(CLOSE).times(1);
    scene.stage.control.inject(slow).unwrap();
    (scene, busy, guard)
}

async fn in_hand(scene: &Scene, count: u64) {
    until(&format!("{count} jobs in hand"), || async {
        (scene.queue.counts().await.unwrap().active == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn danger_goes_first_and_equal_requests_are_one() {
    let (scene, busy, of_busy) = busy(&[], 2500).await;
    let buyer = scene.player("buyer").await;
    let entry = scene.by_job(&buyer, RuleKind::AutoEntry, buying()).await;
    let (mover, _) = scene.trader("mover").await;
    let stop = scene.by_job(&mover, RuleKind::TpSl, moving()).await;
    let (saved, _) = scene.trader("saved").await;
    let guard = scene.by_job(&saved, RuleKind::MarginGuard, closing()).await;
    let watchman = scene.start(4).await;
    scene.stage.control.set_price(DANGER).unwrap();
    scene.price_seen(DANGER).await;
    let first = scene.ask(&of_busy).await;
    watchman.until("execution.sending").await;
    // In the order of their danger, turned round; the queue knows nothing of it.
    let mut asked = vec![];
    for automation in [&entry, &entry, &stop, &guard, &guard, &guard] {
        asked.push(scene.ask(automation).await);
    }
    let [entry_1, entry_2, moved, guarded, again, and_again] = &asked[..] else {
        panic!("six jobs");
    };
    // Those that ask for what is asked for already need not wait.
    for id in [again, and_again] {
        let told = scene.told(id).await;
        assert_eq!(
            (&told["status"], &told["reason"], &told["coalescedWith"]),
            (&json!("skipped"), &json!("coalesced"), &json!(guarded))
        );
    }
    in_hand(&scene, 5).await;
    assert_eq!(order(&watchman), ["busy"], "the one place is taken");
    for id in [&first, entry_1, entry_2, moved, guarded] {
        assert_eq!(scene.told(id).await["status"], "completed");
    }
    assert_eq!(
        order(&watchman),
        ["busy", "saved", "mover", "buyer", "buyer"]
    );
    let effects = |player: &Player, kind| scene.effects(&player.key(), kind).len();
    assert_eq!(effects(&busy, LedgerKind::Closed), 1);
    assert_eq!(
        effects(&saved, LedgerKind::Closed),
        1,
        "three requests, one close"
    );
    assert_eq!(effects(&mover, LedgerKind::StoplossSet), 1);
    assert_eq!(
        effects(&buyer, LedgerKind::Filled),
        2,
        "two requests, two entries"
    );
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_late_expires_for_all_to_see() {
    const AGE: i64 = 1500;
    let (scene, _, of_busy) = busy(&[("queue.max_job_age_ms", AGE)], 4000).await;
    let buyer = scene.player("buyer").await;
    let entry = scene.by_job(&buyer, RuleKind::AutoEntry, buying()).await;
    let late = |data: Value| NewJob {
        attempts: 3,
        ..job(data)
    };
    let request = json!({ "userId": USER, "automationId": entry });
    // While nobody serves.
    let before = scene.queue.add(late(request.clone())).await.unwrap().id;
    // What is due later is not late.
    let delayed = NewJob {
        delay: Duration::from_millis(AGE as u64 + 500),
        ..job(request.clone())
    };
    let delayed = scene.queue.add(delayed).await.unwrap().id;
    tokio::time::sleep(Duration::from_millis(AGE as u64)).await;
    let watchman = scene.start(2).await;
    let told = |id: &str| {
        let line = format!("job.failed of {id}");
        let job = format!("{id}@");
        let watchman = &watchman;
        async move {
            let expired = |line: &Value| {
                line["event"] == "job.failed" && line["job"].as_str().unwrap().starts_with(&job)
            };
            watchman.until_where(&line, expired).await
        }
    };
    let expired = |entry: vigia::queue::Entry| {
        let reason = entry.failed_reason.unwrap_or_default();
        assert_eq!((entry.state, entry.attempts_made), (JobState::Failed, 1));
        assert!(reason.starts_with("expired: it was due ") && reason.contains("max_job_age_ms"));
        println!("{reason}");
    };
    expired(scene.ended(&before).await);
    let line = told(&before).await;
    assert_eq!(
        (&line["account_name"], &line["level"]),
        (&json!("buyer"), &json!("ERROR"))
    );
    assert_eq!(scene.told(&delayed).await["status"], "completed");
    // While it waits for its turn.
    scene.stage.control.set_price(DANGER).unwrap();
    scene.price_seen(DANGER).await;
    let first = scene.ask(&of_busy).await;
    watchman
        .until_where("the slow request", |line| {
            line["event"] == "execution.sending" && line["account_name"] == "busy"
        })
        .await;
    let waits = scene.queue.add(late(request)).await.unwrap().id;
    expired(scene.ended(&waits).await);
    told(&waits).await;
    let shown = scene.command(&["job", "show", &waits]).await;
    assert!(
        shown.contains("failed") && shown.contains("expired: it was due "),
        "{shown}"
    );
    assert_eq!(
        scene.told(&first).await["status"],
        "completed",
        "it was begun in time"
    );
    assert_eq!(scene.effects(&buyer.key(), LedgerKind::Filled).len(), 1);
    watchman.stop().await;
}

/// They are handed out before their account has been read for the first time.
async fn what_was_asked_before_the_start_is_done(backend: Backend) {
    const ASKED: usize = 12;
    let scene = Scene::on(backend, &[("queue.poll_ms", 100)]).await;
    let buyer = scene.player("buyer").await;
    let entry = scene.by_job(&buyer, RuleKind::AutoEntry, buying()).await;
    let mut asked = vec![];
    for _ in 0..ASKED {
        asked.push(scene.ask(&entry).await);
    }
    let slow = Fault::DelayReply { ms: 1500 };
    let slow = slow.on_key(&buyer.key()).on_method("GET").times(4);
    scene.stage.control.inject(slow).unwrap();
    let watchman = scene.start(1).await;
    for id in &asked {
        let job = scene.ended(id).await;
        assert_eq!(
            (job.state, job.attempts_made),
            (JobState::Completed, 1),
            "{job:?}"
        );
    }
    assert_eq!(scene.effects(&buyer.key(), LedgerKind::Filled).len(), ASKED);
    assert_eq!(
        watchman.count("job.attempt_failed") + watchman.count("job.refused"),
        0
    );
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_database_for_the_service_costs_no_attempt() {
    what_was_asked_before_the_start_is_done(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_redis_for_the_service_costs_no_attempt() {
    what_was_asked_before_the_start_is_done(Backend::Redis).await;
}

/// Accounts whose exchange hangs, and one whose exchange does not.
const HANGING: usize = 10;

async fn eleven(live: bool) -> (Scene, Vec<(Player, Position)>, Vec<AutomationId>) {
    let scene = Scene::on(Backend::Sqlite, &[("queue.poll_ms", 100)]).await;
    let (mut traders, mut guards) = (vec![], vec![]);
    for number in 0..=HANGING {
        let trader = scene.trader(&format!("trader-{number}")).await;
        let account = &trader.0.id;
        guards.push(
            scene
                .automation(account, RuleKind::MarginGuard, closing(), live)
                .await,
        );
        traders.push(trader);
    }
    (scene, traders, guards)
}

/// From now on nothing is answered to the first ten, for 30 s.
fn hang(scene: &Scene, traders: &[(Player, Position)]) {
    for (player, _) in &traders[..HANGING] {
        let hangs = Fault::Hang { apply: false }.on_key(&player.key());
        scene
            .stage
            .control
            .inject(hangs.lasting(Duration::from_secs(30)))
            .unwrap();
    }
}

async fn the_eleventh_is_closed(
    scene: &Scene,
    traders: &[(Player, Position)],
    since: Instant,
) -> Duration {
    let key = traders[HANGING].0.key();
    until("close of the eleventh", || async {
        (!scene.effects(&key, LedgerKind::Closed).is_empty()).then_some(())
    })
    .await;
    since.elapsed()
}

async fn all_are_closed_once(scene: &Scene, traders: &[(Player, Position)]) {
    scene.stage.control.clear_faults();
    for (player, _) in traders {
        until(&format!("close of {}", player.name()), || async {
            (!scene.effects(&player.key(), LedgerKind::Closed).is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_ten_that_hang_and_the_eleventh_that_is_saved_by_itself() {
    let (scene, traders, guards) = eleven(true).await;
    let watchman = scene.start(HANGING + 1).await;
    watchman.until_armed(HANGING + 1).await;
    hang(&scene, &traders);
    let begun = Instant::now();
    let position = &traders[HANGING].1;
    let price = price_at(position, position.margin, THRESHOLD + 0.05);
    scene.stage.control.set_price(price).unwrap();
    let saved = the_eleventh_is_closed(&scene, &traders, begun).await;
    println!("ten accounts hang: the eleventh's own rule had closed it {saved:?} after the price");
    // Much less than one request may take to be given up.
    assert!(saved < Duration::from_secs(3), "{saved:?}");
    all_are_closed_once(&scene, &traders).await;
    watchman.stop().await;
    for ((player, _), guard) in traders.iter().zip(&guards) {
        assert_eq!(scene.effects(&player.key(), LedgerKind::Closed).len(), 1);
        assert!(!scene.executions(guard).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_ten_that_hang_and_the_eleventh_that_is_saved_by_a_job() {
    let (scene, traders, guards) = eleven(false).await;
    let watchman = scene.start(HANGING + 1).await;
    scene.stage.control.set_price(DANGER).unwrap();
    scene.price_seen(DANGER).await;
    hang(&scene, &traders);
    for guard in &guards[..HANGING] {
        scene.ask(guard).await;
    }
    // As many as may run hang.
    until("requests that hang", || async {
        (order(&watchman).len() >= 5).then_some(())
    })
    .await;
    let begun = Instant::now();
    let eleventh = scene.ask(&guards[HANGING]).await;
    let saved = the_eleventh_is_closed(&scene, &traders, begun).await;
    // Those before it hold the places for jobs until their requests are given up, no longer.
    assert!(saved < Duration::from_secs(15), "{saved:?}");
    println!(
        "the jobs of ten accounts hang: the eleventh's had closed it {saved:?} after it was asked for"
    );
    assert_eq!(scene.told(&eleventh).await["status"], "completed");
    let ledger = scene.stage.control.ledger();
    assert!(
        ledger
            .iter()
            .all(|entry| entry.kind != LedgerKind::Liquidated)
    );
    scene.stage.control.clear_faults();
    watchman.kill().await;
}
