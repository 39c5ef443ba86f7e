//! What is in the data folder: the tables and the key.

use std::path::Path;

use super::*;

#[tokio::test]
async fn migrate_says_what_is_to_be_done_and_holds_the_folder_while_it_does_it() {
    let mut shell = Shell::new();
    let made = shell.run(&["migrate", "--json"]).await.json();
    assert!(made["steps"].as_array().unwrap().len() >= 6, "{made}");
    assert_eq!(shell.run(&["migrate"]).await.ok().out, "nothing to do\n");
    shell
        .run(&["migrate", "--rollback", "2", "--yes"])
        .await
        .ok();
    let check = shell.run(&["migrate", "--check"]).await;
    assert_eq!(check.out.lines().count(), 2);
    check.refused(&["2 steps", "vigia migrate"]);
    let list = shell.run(&["account", "list"]).await;
    list.refused(&["earlier version", "vigia migrate"]);
    let held = crate::store::folder::DataFolder::lock(&shell.settings.data_dir, "pid 7").unwrap();
    shell
        .run(&["migrate"])
        .await
        .refused(&["pid 7", "holds this data folder"]);
    drop(held);
    shell.run(&["migrate"]).await.ok();
    let none = shell.run(&["account", "list", "--json"]).await.json();
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn a_key_is_made_once_for_its_owner_only() {
    let mut shell = Shell::new();
    let said = shell.run(&["key", "generate"]).await.ok();
    let path = shell.settings.key_file();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(!said.out.contains(key.trim()) && said.out.contains("master.key"));
    let again = shell.run(&["key", "generate"]).await;
    again.refused(&["not overwritten", "--out"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    let printed = shell.run(&["key", "generate", "--print"]).await.ok().out;
    assert!(crate::store::Vault::from_key_text(&printed).is_ok());
}
