//! Executions: shown, settled by a person, with their audit entries.

use super::*;
use crate::domain::execution::State;

#[tokio::test]
async fn an_uncertain_execution_is_shown_and_settled_with_its_audit_entry() {
    let (mut shell, automation) = Shell::with_automation().await;
    let id = shell.uncertain(&automation).await.to_string();
    let list = shell
        .run(&["execution", "list", "--state", "uncertain"])
        .await
        .ok()
        .out;
    assert!(
        list.lines()
            .nth(1)
            .unwrap()
            .contains("main     add_margin 500 sats"),
        "{list}"
    );
    let shown = shell.run(&["execution", "show", &id]).await.ok();
    assert!(
        shown.out.contains("evidence      added 250\n")
            && shown
                .out
                .contains("decision      margin_guard: add_margin\n")
            && shown.out.lines().all(|line| line.chars().count() <= 80),
        "{}",
        shown.out
    );
    assert!(
        shown.notes.contains("vigia execution resolve"),
        "{}",
        shown.notes
    );
    let resolve = |note| ["execution", "resolve", &*id, "--as", "done", "--note", note];
    shell.run(&resolve(" ")).await.refused(&["--note is empty"]);
    shell.run(&resolve("seen on the site")).await.ok();
    shell
        .run(&resolve("again"))
        .await
        .refused(&["is done and cannot become done"]);
    let shown = shell
        .run(&["execution", "show", &id, "--json"])
        .await
        .json();
    assert_eq!(shown["state"], json!(State::Done));
    assert_eq!(shown["reason"], json!("resolved by hand: seen on the site"));
    let audited = shell
        .run(&["audit", "list", "--account", "main", "--json"])
        .await
        .json();
    assert_eq!(audited.as_array().unwrap().len(), 1);
    assert_eq!(audited[0]["type"], json!("margin_guard_executed"));
    let keys: Vec<_> = audited[0].as_object().unwrap().keys().collect();
    let expected = ["automationId", "data", "message", "timestamp", "type"];
    assert_eq!(keys, expected, "what is more stands in `data`");
    assert_eq!(audited[0]["data"]["executionId"], json!(id));
    assert_eq!(audited[0]["data"]["accountName"], json!("main"));
    assert_eq!(audited[0]["data"]["seq"], json!(1));
    let audited = shell.run(&["audit", "list"]).await.ok().out;
    let expected = "\
1  2025-01-10T00:05:00Z main
   Margin Guard executed: add_margin for position
   00000000-0000-0000-0000-000000000002
   500 sats, margin ratio 0.1, decided at 93000, execution
   00000000-0000-0000-0000-000000000001
";
    assert_eq!(audited, expected);
    let none = shell
        .run(&["audit", "list", "--automation", "other"])
        .await
        .ok();
    assert_eq!(none.out, "");
}
