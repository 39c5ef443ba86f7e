//! Accounts: added, listed, paused, given new credentials, removed.

use super::*;

#[tokio::test]
async fn an_account_is_added_by_stdin_file_or_prompt_and_never_shows_its_credentials() {
    let mut shell = Shell::new();
    let add = ["account", "add", "first", "--credentials-stdin"];
    shell.answers.stdin = r#"{"key": "k", "secret": "hunter2", "passphrase": "p"}"#;
    shell.run(&add).await.refused(&["vigia key generate"]);
    shell
        .run(&["account", "list"])
        .await
        .refused(&["no database yet", "--data-dir"]);
    assert!(!shell.settings.data_dir.join("vigia.db").exists());
    shell.run(&["key", "generate"]).await.ok();
    let said = shell.run(&add).await.ok();
    assert!(
        said.out.starts_with("account first added, id "),
        "{}",
        said.out
    );
    assert!(said.notes.contains("vigia automation add"));
    shell.run(&add).await.refused(&["`first` exists already"]);

    let file = shell.folder.path().join("credentials");
    std::fs::write(&file, "k\nhunter2\np\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let from_file = [
        "account",
        "add",
        "second",
        "--network",
        "signet",
        "--credentials-file",
        &path,
    ];
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    shell.run(&from_file).await.refused(&["chmod 600"]);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    shell.run(&from_file).await.ok();

    shell.answers.typed = ["k", "hunter2", "p"].into();
    let third = shell
        .run(&["account", "add", "third", "--json"])
        .await
        .json();
    assert_eq!(
        (&third["name"], &third["isActive"]),
        (&json!("third"), &json!(true))
    );
    shell
        .run(&["account", "add", "x"])
        .await
        .refused(&["nobody answers"]);
    let wrong = [
        "account",
        "add",
        "x",
        "--network",
        "moon",
        "--credentials-stdin",
    ];
    shell
        .run(&wrong)
        .await
        .refused(&["moon", "known are", "mainnet"]);

    shell.run(&["account", "disable", "second"]).await.ok();
    let list = shell.run(&["account", "list"]).await.ok().out;
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 4, "{list}");
    assert!(lines[2].starts_with("second  signet   no "), "{list}");
    let listed = shell.run(&["account", "list", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(!listed.to_string().contains("hunter2"));
    let shown = shell
        .run(&["account", "show", "third", "--json"])
        .await
        .json();
    for (key, told) in third.as_object().unwrap() {
        assert_eq!(&shown[key], told, "{key}");
    }
    let shown = shell.run(&["account", "show", "second"]).await.ok().out;
    let enabled = shown.lines().find(|line| line.starts_with("enabled "));
    assert!(enabled.is_some_and(|line| line.ends_with(" no")), "{shown}");
    shell.run(&["account", "enable", "second"]).await.ok();
    let gone = shell.run(&["account", "show", "nobody"]).await;
    gone.refused(&["no account `nobody`", "vigia account list"]);
}

#[tokio::test]
async fn what_is_not_settled_keeps_its_account_and_what_was_done_outlives_it() {
    let (mut shell, automation) = Shell::with_automation().await;
    let id = shell.uncertain(&automation).await.to_string();
    let on = ["kill-switch", "on", "--automation", &automation];
    shell.run(&on).await.ok();
    for remove in [
        ["account", "remove", "main"],
        ["automation", "remove", &automation],
    ] {
        let refused = ["may or may not have been applied", &id, "execution resolve"];
        shell.run(&remove).await.refused(&refused);
    }
    let resolve = [
        "execution",
        "resolve",
        &id,
        "--as",
        "failed",
        "--note",
        "seen",
    ];
    shell.run(&resolve).await.ok();
    let said = shell.run(&["account", "remove", "main"]).await.ok();
    assert!(said.out.contains("main is removed"), "{}", said.out);
    let nobody = shell.run(&["account", "show", "main"]).await;
    nobody.refused(&["there is no account `main`"]);
    for empty in ["account", "automation", "kill-switch"] {
        let listed = shell.run(&[empty, "list", "--json"]).await.json();
        assert_eq!(listed, json!([]), "{empty}");
    }
    let listed = shell.run(&["execution", "list", "--json"]).await.json();
    assert_eq!(listed[0]["id"], json!(id));
    let again = shell.run(&["account", "remove", "main"]).await;
    again.refused(&["there is no account `main`"]);
}

#[tokio::test]
async fn without_a_service_an_account_is_paused_and_resumed_and_cannot_be_restarted() {
    let (mut shell, _) = Shell::with_automation().await;
    let pause = ["account", "pause", "main", "--reason", "a look"];
    let said = shell.run(&pause).await.ok();
    assert_eq!(said.out, "account main is paused\n");
    let said = shell.run(&["account", "list"]).await.ok();
    assert!(said.out.contains(" paused "), "{}", said.out);
    let shown = shell.run(&["account", "show", "main", "--json"]).await;
    assert_eq!(shown.json()["paused"]["reason"], json!("a look"));
    let said = shell.run(&["account", "resume", "main"]).await.ok();
    assert_eq!(said.out, "account main is resumed\n");
    let restart = shell.run(&["account", "restart", "main"]).await;
    restart.refused(&["no service runs on the data folder", "vigia run"]);
    shell.answers.stdin = "k2\ns2\np2\n";
    let rotate = ["account", "credentials", "main", "--credentials-stdin"];
    let refused = ["could not be asked", "the old ones stay"];
    shell.run(&rotate).await.refused(&refused);
    let rotate = [rotate.as_slice(), &["--unverified"]].concat();
    let said = shell.run(&rotate).await.ok();
    assert!(said.out.contains("not verified"), "{}", said.out);
    let shown = shell.run(&["account", "show", "main", "--json"]).await;
    assert_eq!(shown.json()["credentialsVersion"], json!(2));
}
