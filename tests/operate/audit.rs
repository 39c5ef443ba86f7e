//! The audit log of the real program, and its proof by command.

use std::time::Duration;

use rustix::process::Signal;
use sea_orm::{ConnectionTrait, Database};
use serde_json::Value;

use crate::scrape::Scrape;
use crate::stage::{Deed, Stage};
use crate::watchman::{SOON, Watchman};

async fn acted(stage: &Stage, watchman: &Watchman, times: usize) {
    stage
        .until("the effects", Duration::from_secs(15), |control| {
            control.ledger().len() > times
        })
        .await;
    stage
        .settled(watchman, |books| books.audit.len() == times)
        .await;
}

async fn tamper(stage: &Stage, sql: &str) {
    let url = format!("sqlite://{}?mode=rw", stage.database().display());
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let other = Database::connect(options).await.unwrap();
    other.execute_unprepared(sql).await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_whole_log_is_proven_and_a_cut_one_is_not_over_a_kill_and_while_it_runs() {
    let stage = Stage::in_a_file().await;
    let said = stage.cli(&["audit", "verify"]).await.ok();
    said.says(&["there are no audit entries"]);
    let (_, first) = stage.guarded("alice", Deed::Add).await;
    let (_, second) = stage.guarded("bob", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(2).await;
    stage.endanger(&first);
    stage.endanger(&second);
    acted(&stage, &watchman, 2).await;
    let said = stage.cli(&["audit", "verify"]).await.ok();
    let said = said.says(&["the audit log is whole: 2 entries, head 2:v1."]);
    let head = said.out.trim().rsplit(' ').next().unwrap().to_owned();
    watchman.kill().await;

    let exported = stage.cli(&["audit", "export"]).await.ok().out;
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["prevHash"], lines[0]["hash"]);
    assert_eq!(format!("2:{}", lines[1]["hash"].as_str().unwrap()), head);
    assert_eq!(lines[0]["type"], "margin_guard_executed");

    tamper(&stage, "DELETE FROM automation_logs WHERE seq = 2").await;
    let refused = stage.cli(&["audit", "verify"]).await;
    refused.refused(&[
        "entry 2 stood in the log",
        "audit.head says",
        "not what was written",
    ]);
    // It is not forgotten by the next process, which says so, and acts all the same.
    let watchman = stage.start();
    let told = watchman.until("audit.broken").await;
    assert_eq!(told["head"], head);
    watchman.until("service.ready").await;
    let scrape = Scrape::of(&stage).await;
    let figure = |what: &str| scrape.value("vigia_audit_trouble", &[("what", what)]);
    assert_eq!(figure("disputed"), Some(1.0));
    assert_eq!(figure("unwritten"), Some(0.0));
    watchman.stop().await;
    let refused = stage.cli(&["audit", "verify", "--json"]).await;
    assert_eq!(refused.code, Some(1));
    let found: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(found["flaws"][0]["flaw"], "head_missing");

    // A head that was kept elsewhere shows what both files would hide.
    for file in ["audit.head", "audit.head.disputed"] {
        std::fs::remove_file(stage.data_dir().join(file)).unwrap();
    }
    let refused = stage.cli(&["audit", "verify", "--head", &head]).await;
    refused.refused(&["--head says"]);
}

#[tokio::test]
async fn the_head_goes_into_the_log_and_what_is_settled_by_hand_into_the_chain() {
    let stage = Stage::in_a_file().await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let mut watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    acted(&stage, &watchman, 1).await;
    let books = stage.books().await;
    watchman.signal(Signal::TERM);
    assert!(watchman.ended(SOON).await.success());
    let told = watchman.until("audit.head").await;
    let head = told["head"].as_str().unwrap().to_owned();
    stage.cli(&["audit", "verify", "--head", &head]).await.ok();
    let id = books.executions[0].id.to_string();
    tamper(
        &stage,
        "UPDATE executions SET state = 'uncertain'; \
         UPDATE automation_logs SET execution_id = 'other' WHERE seq = 1",
    )
    .await;
    let resolve = [
        "execution",
        "resolve",
        &id,
        "--as",
        "done",
        "--note",
        "seen",
    ];
    stage.cli(&resolve).await.ok();
    let refused = stage.cli(&["audit", "verify"]).await;
    refused.refused(&["entry 1 was changed"]);
    let exported = stage.cli(&["audit", "export"]).await.ok().out;
    assert_eq!(exported.lines().count(), 2);
}
