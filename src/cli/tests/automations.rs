//! Automations: added, listed, disabled, removed.

use super::*;

#[tokio::test]
async fn an_automation_is_added_listed_disabled_and_removed() {
    let (mut shell, id) = Shell::with_automation().await;
    let listed = shell.run(&["automation", "list", "--json"]).await.json();
    assert_eq!(
        listed[0]["config"],
        serde_json::from_str::<Value>(GUARD).unwrap()
    );
    assert_eq!(
        (&listed[0]["live"], &listed[0]["isActive"]),
        (&json!(true), &json!(true))
    );
    let file = shell.folder.path().join("guard.json");
    std::fs::write(&file, GUARD).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let add = [
        "automation",
        "add",
        "--account",
        "main",
        "--type",
        "margin_guard",
        "--job-only",
        "--disabled",
        "--rule-file",
        &file,
    ];
    let said = shell.run(&add).await.ok();
    assert!(
        said.out.contains("added to account main, disabled"),
        "{}",
        said.out
    );
    let list = shell
        .run(&["automation", "list", "--account", "main"])
        .await
        .ok()
        .out;
    assert_eq!(list.lines().count(), 3, "{list}");
    for row in [
        "main     margin_guard  yes      yes   add_margin 500 sats",
        "main     margin_guard  no       no    add_margin 500 sats",
    ] {
        assert!(list.contains(row), "{list}");
    }
    shell.run(&["automation", "disable", &id]).await.ok();
    let shown = shell.run(&["automation", "show", &id]).await.ok().out;
    assert!(shown.contains("enabled       no"), "{shown}");
    shell.run(&["automation", "enable", &id]).await.ok();
    shell.run(&["automation", "remove", &id]).await.ok();
    let gone = shell.run(&["automation", "show", &id, "--json"]).await;
    gone.refused(&["no automation", "vigia automation list"]);
    let wrong = of_main("add", "margin_guard", "{}");
    shell
        .run(&wrong)
        .await
        .refused(&["action: missing", "margin_threshold: missing"]);
    let nobody = [
        "automation",
        "add",
        "--account",
        "no",
        "--type",
        "margin_guard",
        "--rule",
        GUARD,
    ];
    shell.run(&nobody).await.refused(&["no account `no`"]);
}
