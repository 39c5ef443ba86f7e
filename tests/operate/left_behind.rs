//! A service is stopped while its store is away: what stands in the file of intents alone is told to
//! whoever looks at the store, and is in it after the next start.

use std::process::Output;

use serde_json::Value;
use vigia::domain::execution::State;
use vigia::simulator::LedgerKind;

use crate::outage::{acted, locked, unlock};
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::run_to_end;

const WAITS: &str = "1 execution is in the file of intents and not in the database yet";

async fn asked(stage: &Stage, arguments: &[&str]) -> (Output, String) {
    let output = run_to_end(&mut stage.command(arguments)).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

#[tokio::test]
async fn whoever_looks_at_the_store_alone_is_told_what_waits_in_the_file() {
    let small = "[journal]\nintents_kib = 512\n";
    let stage = Stage::configured(None, Windows::default(), small).await;
    let (_, closed) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let (_, told) = asked(&stage, &["execution", "list"]).await;
    assert!(!told.contains("file of intents"), "{told}");
    let lock = locked(&stage.database()).await;
    stage.endanger(&closed);
    acted(&stage, &watchman, &closed, LedgerKind::Closed, 1).await;
    watchman.until("execution.done").await;
    watchman.stop().await;
    unlock(lock).await;
    for command in [
        &["execution", "list"][..],
        &["execution", "list", "--json"],
        &["audit", "list"],
    ] {
        let (output, told) = asked(&stage, command).await;
        assert!(output.status.success(), "{command:?}: {told}");
        assert!(told.contains(WAITS), "{command:?}: {told}");
    }
    let (output, told) = asked(&stage, &["status"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains("no service runs") && told.contains(WAITS),
        "{told}"
    );
    let (output, told) = asked(&stage, &["check", "--offline", "--json"]).await;
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["what"] == "intents");
    let detail = found.unwrap()["detail"].as_str().unwrap();
    assert!(detail.ends_with("are in the database now: 1"), "{detail}");
    let (_, told) = asked(&stage, &["execution", "list"]).await;
    assert!(!told.contains("file of intents"), "{told}");
    let books = stage.agree_after_stop(stage.start()).await;
    assert_eq!(books.states(), [State::Done]);
}
