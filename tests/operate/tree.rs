//! The tree is true: what it shows is what there is.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use vigia::domain::rules::{Rule, RuleKind, Subject};
use vigia::domain::units::Price;

use crate::scrape::{Scrape, tree, until};
use crate::server::Server;
use crate::stage::{Deed, START, Stage, Windows};
use crate::watchman::{SOON, Watchman, run_to_end};

fn guard() -> Value {
    json!({
        "action": "close_position", "metric": "margin_used", "margin_threshold": 0.7,
        "cooldown_seconds": 0,
    })
}

/// What `vigia status` prints.
pub async fn status(stage: &Stage, more: &[&str]) -> String {
    let output = run_to_end(&mut command(stage, more)).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{more:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn command(stage: &Stage, more: &[&str]) -> std::process::Command {
    stage.command(&[&["status"], more].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_those_of_the_rule_and_the_service_acts_there_and_not_before() {
    let stage = Stage::set().await;
    let owner = stage.owner("alpha");
    let position = stage.open_position(&owner, 10).await;
    let kind = RuleKind::MarginGuard;
    let automation = stage.automate(&owner, kind, guard(), true).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let shown = until("a level is shown", &watchman, || async {
        let report = tree(&stage, "").await;
        let position = report.accounts.first()?.positions.first()?.clone();
        position.levels.first()?.watch.at_or_below?;
        Some(position)
    })
    .await;
    let rule = Rule::parse(kind, &guard()).unwrap();
    let level = rule.level(Subject::Position(&position));
    let [of] = shown.levels.as_slice() else {
        panic!("{shown:#?}");
    };
    assert_eq!(of.automation, automation.to_string());
    assert_eq!(
        (of.kind.as_str(), of.watch.phase.as_str()),
        ("margin_guard", "armed")
    );
    assert_eq!(
        (of.watch.at_or_below, of.watch.at_or_above),
        (level.at_or_below, None)
    );
    let at = level.at_or_below.unwrap().usd();
    let away = (START - at) / START;
    assert!((of.watch.distance.unwrap() - away).abs() < 1e-9, "{away}");
    let text = status(&stage, &[]).await;
    let line = text
        .lines()
        .find(|line| line.contains("armed, fires at or below"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains(&format!("({:.1} % away)", away * 100.0)),
        "{line}"
    );
    for actor in [
        "supervisor",
        "audit_log",
        "intake",
        "job_desk",
        "price_feed/sim",
        "connection/alpha",
    ] {
        assert!(text.contains(actor), "{actor}\n{text}");
    }
    // The exchange's prices are half dollars: the last above the level does nothing.
    let last_above = (at * 2.0).floor() / 2.0 + 0.5;
    stage.control.set_price(last_above).unwrap();
    until("the price above the level is seen", &watchman, || async {
        let seen = tree(&stage, "").await.accounts[0].price;
        (seen == Price::from_usd(last_above)).then_some(())
    })
    .await;
    assert_eq!(
        watchman.count("automation.triggered"),
        0,
        "{last_above} is above {at}"
    );
    stage.control.set_price(last_above - 0.5).unwrap();
    watchman.until("execution.done").await;
    let last = until("the last execution is shown", &watchman, || async {
        let report = tree(&stage, "?account=alpha").await;
        let account = report.accounts.into_iter().next()?;
        account
            .positions
            .is_empty()
            .then_some(account.last_execution?)
    })
    .await;
    let id = position.id.to_string();
    let told = [&last.action, &last.state, &last.position].map(String::as_str);
    assert_eq!(told, ["close_position", "done", id.as_str()]);
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_is_shown_and_counted_with_its_cause() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alpha", Deed::Add).await;
    let mut run = stage.run();
    run.env("VIGIA_FAILPOINT", "executor.run=panic");
    let watchman = Watchman::of(run, stage.clock);
    watchman.until_armed(1).await;
    stage.endanger(&position);
    watchman.until("execution.done").await;
    let executor = until("the executor is back", &watchman, || async {
        let died = tree(&stage, "").await.intake.died;
        died.into_iter().find(|part| part.life.restarts == 1)
    })
    .await;
    assert_eq!(
        (executor.actor.as_str(), executor.life.state.as_str()),
        ("executor/0", "running")
    );
    let cause = executor.life.last_cause.unwrap();
    assert!(cause.starts_with("panicked: failpoint"), "{cause}");
    let scrape = Scrape::of(&stage).await;
    for name in ["vigia_actor_deaths_total", "vigia_actor_restarts_total"] {
        assert_eq!(
            scrape.value(name, &[("kind", "executor")]),
            Some(1.0),
            "{name}"
        );
        assert_eq!(
            scrape.value(name, &[("kind", "connection")]),
            Some(0.0),
            "{name}"
        );
    }
    let text = status(&stage, &[]).await;
    let told = text.lines().find(|line| line.contains("restarts: 1; died"));
    assert!(
        told.is_some_and(|line| line.contains("panicked: failpoint")),
        "{text}"
    );
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_set_aside_is_shown_so_and_the_others_are_not() {
    let stage = Stage::set().await;
    stage.guarded("alpha", Deed::Add).await;
    stage.guarded("beta", Deed::Add).await;
    let mut run = stage.run();
    run.env("VIGIA_FAILPOINT", "connection.started@alpha=panic:99");
    let watchman = Watchman::of(run, stage.clock);
    watchman.until("actor.quarantined").await;
    watchman.until_armed(1).await;
    let report = until("beta is live", &watchman, || async {
        let report = tree(&stage, "").await;
        (report.accounts.len() == 2 && report.accounts[1].state == "live").then_some(report)
    })
    .await;
    let [alpha, beta] = report.accounts.as_slice() else {
        panic!("{report:#?}");
    };
    assert_eq!(
        (alpha.name.as_str(), alpha.state.as_str()),
        ("alpha", "quarantined")
    );
    assert_eq!(
        (alpha.connection.state.as_str(), alpha.connection.restarts),
        ("quarantined", 5)
    );
    assert!(
        alpha
            .connection
            .last_cause
            .as_ref()
            .unwrap()
            .contains("failpoint")
    );
    assert_eq!(
        (beta.connection.state.as_str(), beta.connection.restarts),
        ("running", 0)
    );
    assert_eq!(
        (
            beta.connection.last_cause.as_ref(),
            report.summary.quarantined
        ),
        (None, 1)
    );
    let scrape = Scrape::of(&stage).await;
    let kind = [("kind", "connection")];
    assert_eq!(scrape.value("vigia_actors_quarantined", &kind), Some(1.0));
    assert_eq!(scrape.value("vigia_actor_deaths_total", &kind), Some(6.0));
    assert_eq!(scrape.value("vigia_actor_restarts_total", &kind), Some(5.0));
    let alpha = [("account_name", "alpha"), ("state", "quarantined")];
    assert_eq!(scrape.value("vigia_account_state", &alpha), Some(1.0));
    let text = status(&stage, &[]).await;
    assert!(text.contains("QUARANTINED; restarts: 5; died"), "{text}");
    assert!(text.contains("1 actors QUARANTINED"), "{text}");
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_goes_on_while_the_service_is_restarted_and_ends_when_it_is_interrupted() {
    let stage = Stage::set().await;
    stage.guarded("alpha", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let mut watching = command(&stage, &["--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap());
    let (sender, mut heard) = tokio::sync::mpsc::channel(100);
    let reader = std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut next = async |what: &str| loop {
        let line = tokio::time::timeout(SOON, heard.recv()).await;
        let line = line
            .unwrap_or_else(|_| panic!("never told: {what}"))
            .unwrap();
        if line.contains(what) {
            return line;
        }
    };
    let first = next("accounts 1 (1 live)").await;
    assert!(
        first.starts_with(&format!("pid {}", watchman.pid())),
        "{first}"
    );
    watchman.kill().await;
    next("waiting for the service: ").await;
    let watchman = stage.start();
    let again = next("accounts 1 (1 live)").await;
    assert!(
        again.starts_with(&format!("pid {}", watchman.pid())),
        "{again}"
    );
    let pid = Pid::from_child(&watching);
    kill_process(pid, Signal::INT).unwrap();
    let ending = tokio::task::spawn_blocking(move || watching.wait().unwrap());
    let status = tokio::time::timeout(Duration::from_secs(5), ending).await;
    assert_eq!(status.expect("it ends at once").unwrap().code(), Some(0));
    reader.join().unwrap();
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_all_else_is_shown() {
    let windows = Windows {
        store_ms: 500,
        lease_ms: [200, 10_000, 12_000],
        ..Windows::default()
    };
    let mut stage = Stage::on(Some(Server::start()), windows).await;
    stage.guarded("alpha", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let calm = tree(&stage, "").await;
    assert_eq!(calm.store_error, None);
    assert!(!calm.executions.is_empty());
    stage.server().freeze(true);
    let report = until("the store is missed", &watchman, || async {
        let report = tree(&stage, "").await;
        let scrape = Scrape::of(&stage).await;
        let failed = scrape.value("vigia_store_failed_writes_total", &[]);
        let is_up = scrape.value("vigia_store_up", &[]);
        let told = report.store_error.is_some() && is_up == Some(0.0);
        (told && failed > Some(0.0)).then_some(report)
    })
    .await;
    let [alpha] = report.accounts.as_slice() else {
        panic!("{report:#?}");
    };
    assert_eq!(alpha.state, "live");
    let level = &alpha.positions[0].levels[0].watch;
    assert!(
        level.phase == "armed" && level.at_or_below.is_some(),
        "{level:?}"
    );
    let text = status(&stage, &[]).await;
    assert!(
        text.lines().any(|line| line.starts_with("STORE ")),
        "{text}"
    );
    stage.server().freeze(false);
    until("the store is back", &watchman, || async {
        let report = tree(&stage, "").await;
        report.store_error.is_none().then_some(())
    })
    .await;
    watchman.stop().await;
}
