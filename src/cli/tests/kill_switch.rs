//! The kill switch, on and off.

use super::*;

#[tokio::test]
async fn a_kill_switch_is_put_on_listed_and_taken_off() {
    let (mut shell, id) = Shell::with_automation().await;
    let none = shell.run(&["kill-switch", "list"]).await.ok();
    assert!(
        none.notes.contains("no kill switch is on"),
        "{}",
        none.notes
    );
    let why = [
        "kill-switch",
        "on",
        "--account",
        "main",
        "--reason",
        "moving house",
    ];
    let said = shell.run(&why).await.ok().out;
    assert!(said.contains("the kill switch is on for account"), "{said}");
    let all = ["kill-switch", "on", "--allow-protective"];
    let said = shell.run(&all).await.ok().out;
    assert!(
        said.contains("everything, but margin guards and stop-losses"),
        "{said}"
    );
    let list = shell.run(&["kill-switch", "list"]).await.ok().out;
    assert!(
        list.contains("account main") && list.contains("moving house"),
        "{list}"
    );
    let list = shell.run(&["kill-switch", "list", "--json"]).await.json();
    assert_eq!(list[0]["scope"], "account");
    assert_eq!(list[1]["scope"], "service");
    assert_eq!(list[1]["allowsProtective"], true);
    let said = shell.run(&["kill-switch", "off"]).await.ok();
    assert!(said.notes.contains("others are still on"), "{}", said.notes);
    let again = shell.run(&["kill-switch", "off"]).await;
    again.refused(&["no kill switch is on for everything", "kill-switch list"]);
    shell
        .run(&["kill-switch", "off", "--account", "main"])
        .await
        .ok();
    let nobody = shell
        .run(&["kill-switch", "on", "--account", "nobody"])
        .await;
    nobody.refused(&["nobody"]);
    let other = shell
        .run(&["kill-switch", "on", "--automation", "none"])
        .await;
    other.refused(&["none"]);
    let said = shell
        .run(&["kill-switch", "on", "--automation", &id])
        .await
        .ok()
        .out;
    assert!(said.contains(&id), "{said}");
}
