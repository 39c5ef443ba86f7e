//! A rule that acts by itself and a job for it: one condition, one effect, whichever comes first.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::domain::execution::State;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Fault, LedgerKind};

use crate::scene::{Backend, Player, Scene, TRADE, moving, times};
use crate::waiting::until;
use crate::watchman::Watchman;

const CALM: f64 = 100_000.0;
/// Where both rules are true.
const THERE: f64 = 95_000.0;

/// A kind of rule that fires once for each crossing.
#[derive(Clone, Copy)]
enum Kind {
    TpSl,
    Entry,
}

impl Kind {
    fn rule(self) -> (RuleKind, Value) {
        match self {
            Self::TpSl => (RuleKind::TpSl, moving()),
            Self::Entry => (RuleKind::AutoEntry, entering(1)),
        }
    }

    fn effect(self) -> LedgerKind {
        match self {
            Self::TpSl => LedgerKind::StoplossSet,
            Self::Entry => LedgerKind::Filled,
        }
    }

    /// How it asks the exchange for its effect.
    fn method(self) -> &'static str {
        match self {
            Self::TpSl => "PUT",
            Self::Entry => "POST",
        }
    }

    /// Effects that are not the service's.
    fn before(self) -> usize {
        match self {
            Self::TpSl => 0,
            // The position's opening.
            Self::Entry => 1,
        }
    }
}

fn entering(most: u32) -> Value {
    json!({
        "side": "b", "quantity": 1, "trigger_price": THERE, "max_entries": most,
    })
}

fn only(told: &Value) -> &Value {
    let executions = told["executions"].as_array().unwrap();
    assert_eq!(executions.len(), 1, "{told}");
    &executions[0]
}

/// One effect, of one execution, which stands in the journal as done.
async fn was_done_once(scene: &Scene, player: &Player, kind: Kind, rule: &AutomationId) -> Value {
    let effects = scene.effects(&player.key(), kind.effect());
    assert_eq!(effects.len(), kind.before() + 1, "{effects:#?}");
    let rows = scene.executions(rule).await;
    let states: Vec<_> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Done]);
    json!(rows[0].id)
}

async fn the_rule_is_first(kind: Kind) {
    let scene = Scene::on(Backend::Sqlite, &[("queue.poll_ms", 100)]).await;
    let (player, _) = scene.trader("alice").await;
    let (rule_kind, config) = kind.rule();
    let rule = scene.automation(&player.id, rule_kind, config, true).await;
    let watchman = scene.start(1).await;
    watchman.until_armed(1).await;
    let slow = Fault::DelayReply { ms: 1500 }.on_key(&player.key());
    let slow = slow.on_route(TRADE).on_method(kind.method()).times(1);
    scene.stage.control.inject(slow).unwrap();
    scene.stage.control.set_price(THERE).unwrap();
    let sent = watchman.until("execution.sending").await;
    // While it is under way, the job waits for it and tells of it.
    let told = scene.run(&rule).await;
    assert_eq!(watchman.count("automation.triggered"), 1);
    assert_eq!(told["status"], "completed", "{told}");
    assert_eq!(only(&told)["executionId"], sent["execution"]);
    // When it is over, the job tells that it is.
    let told = scene.run(&rule).await;
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!("skipped"), &json!("already_executed"))
    );
    assert_eq!(only(&told)["executionId"], sent["execution"]);
    let id = was_done_once(&scene, &player, kind, &rule).await;
    assert_eq!(id, sent["execution"]);
    watchman.stop().await;
}

async fn the_job_is_first(kind: Kind) {
    // So long the service does not see that there is another automation; a job names it.
    let values = [("queue.poll_ms", 100), ("supervision.refresh_ms", 3000)];
    let scene = Scene::on(Backend::Sqlite, &values).await;
    let (player, _) = scene.trader("alice").await;
    let watchman = scene.start(1).await;
    scene.stage.control.set_price(THERE).unwrap();
    scene.price_seen(THERE).await;
    let (rule_kind, config) = kind.rule();
    let rule = scene.automation(&player.id, rule_kind, config, true).await;
    let told = scene.run(&rule).await;
    assert_eq!(told["status"], "completed", "{told}");
    let first = only(&told)["executionId"].clone();
    assert_eq!(
        watchman.count("actor.started"),
        began(&watchman, &rule),
        "too late"
    );
    // Then it lives, over a condition that is true.
    let name = format!("automation/{rule}");
    watchman
        .until_where("the automation lives", |line| {
            line["event"] == "actor.started" && line["actor"] == *name
        })
        .await;
    for usd in [THERE - 10.0, THERE - 20.0] {
        scene.stage.control.set_price(usd).unwrap();
        scene.price_seen(usd).await;
    }
    let told = scene.run(&rule).await;
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!("skipped"), &json!("already_executed"))
    );
    assert_eq!(only(&told)["executionId"], first);
    assert_eq!(watchman.count("automation.triggered"), 0);
    assert_eq!(was_done_once(&scene, &player, kind, &rule).await, first);
    watchman.stop().await;
}

/// How many actors had been started, none of which was this automation.
fn began(watchman: &Watchman, rule: &AutomationId) -> usize {
    let name = format!("automation/{rule}");
    let lines = watchman.lines();
    let started = lines.iter().filter(|line| line["event"] == "actor.started");
    started.filter(|line| line["actor"] != *name).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_its_rule_moves_first_is_moved_once() {
    the_rule_is_first(Kind::TpSl).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_its_rule_makes_first_is_made_once() {
    the_rule_is_first(Kind::Entry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_a_job_moves_first_is_moved_once() {
    the_job_is_first(Kind::TpSl).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_a_job_makes_first_is_made_once() {
    the_job_is_first(Kind::Entry).await;
}

/// Jobs that come with each crossing.
const JOBS: usize = 4;

/// The price and jobs come at the same moment, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_a_race_between_a_rule_and_jobs() {
    // The exchange lets nobody have more trades than this.
    let rounds = times(10, 50);
    let scene = Scene::on(Backend::Sqlite, &[("queue.poll_ms", 100)]).await;
    let player = scene.player("alice").await;
    let rule = scene
        .automation(&player.id, RuleKind::AutoEntry, entering(1000), true)
        .await;
    let watchman = scene.start(1).await;
    for round in 1..=rounds {
        until("next episode", || async {
            (watchman.count("automation.armed") >= round).then_some(())
        })
        .await;
        let mut jobs = vec![];
        for _ in 0..JOBS {
            jobs.push(scene.ask(&rule).await);
        }
        // They are taken some time within the next tenth of a second.
        let pause = Duration::from_millis((round as u64 * 37) % 100);
        tokio::time::sleep(pause).await;
        scene.stage.control.set_price(THERE).unwrap();
        for id in jobs {
            scene.told(&id).await;
        }
        until("entry of this crossing", || async {
            let made = scene.effects(&player.key(), LedgerKind::Filled);
            (made.len() >= round).then_some(())
        })
        .await;
        scene.stage.control.set_price(CALM).unwrap();
    }
    let by_itself = watchman.count("automation.triggered");
    watchman.stop().await;
    let made = scene.effects(&player.key(), LedgerKind::Filled).len();
    println!(
        "{rounds} crossings with {JOBS} jobs each: {made} entries, {by_itself} by the rule itself, {} by a job",
        made - by_itself
    );
    assert_eq!(made, rounds);
}

/// The cooldown lasts, the condition was false meanwhile and is true again: the next episode is armed
/// from the end of the cooldown, and a job does not act before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_does_not_act_before_the_end_of_the_cooldown() {
    let scene = Scene::on(Backend::Sqlite, &[("queue.poll_ms", 100)]).await;
    let (player, _) = scene.trader("alice").await;
    let mut config = moving();
    config["cooldown_seconds"] = json!(600);
    let rule = scene
        .automation(&player.id, RuleKind::TpSl, config, true)
        .await;
    let watchman = scene.start(1).await;
    watchman.until_armed(1).await;
    scene.stage.control.set_price(THERE).unwrap();
    let done = watchman.until("execution.done").await;
    scene.stage.control.set_price(CALM).unwrap();
    watchman
        .until_where("the next episode", |line| {
            line["event"] == "automation.armed" && line["episode"] == 2
        })
        .await;
    scene.stage.control.set_price(THERE).unwrap();
    scene.price_seen(THERE).await;
    let told = scene.run(&rule).await;
    assert_eq!(
        (&told["status"], &told["reason"]),
        (&json!("skipped"), &json!("already_executed"))
    );
    assert_eq!(only(&told)["executionId"], done["execution"]);
    assert_eq!(
        was_done_once(&scene, &player, Kind::TpSl, &rule).await,
        done["execution"]
    );
    watchman.stop().await;
}
