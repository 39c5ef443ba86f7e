//! What the command line says when it cannot do what it is told: what is wrong, and what to do. Exit
//! codes as documented: 1 for what failed, 2 for what cannot be asked.

use vigia::admin::Access;

use crate::desk::Said;
use crate::stage::{Deed, Stage};
use crate::watchman::{run_to_end, vigia};

/// A command, its exit code, and what it must say.
type Row<'a> = (&'a [&'a str], i32, &'a [&'a str]);

async fn complain(stage: &Stage, rows: &[Row<'_>]) {
    for (words, code, says) in rows {
        let said = stage.cli(words).await;
        assert_eq!(said.code, Some(*code), "{words:?}: {said:?}");
        assert!(said.out.is_empty(), "{words:?}: {said:?}");
        said.says(says);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_or_is_not_there_is_named_with_what_to_do() {
    let stage = Stage::set().await;
    stage.guarded("alice", Deed::Close).await;
    let nowhere = "00000000-0000-7000-8000-000000000000";
    // Without a service.
    complain(
        &stage,
        &[
            (
                &["dance"],
                2,
                &["unrecognized subcommand 'dance'", "--help"],
            ),
            (
                &["account", "dance"],
                2,
                &["unrecognized subcommand 'dance'", "--help"],
            ),
            (&["account", "pause"], 2, &["<ACCOUNT>", "--help"]),
            (
                &["account", "list", "--colour"],
                2,
                &["unexpected argument '--colour'", "--help"],
            ),
            (
                &["kill-switch", "on", "--account", "a", "--automation", "b"],
                2,
                &["cannot be used with", "--help"],
            ),
            (
                &["execution", "show", "x"],
                2,
                &["invalid value 'x'", "--help"],
            ),
            (
                &["account", "show", "nobody"],
                1,
                &["there is no account `nobody`", "`vigia account list`"],
            ),
            (
                &["account", "pause", "nobody"],
                1,
                &["there is no account `nobody`", "`vigia account list`"],
            ),
            (
                &["automation", "show", nowhere],
                1,
                &["there is no automation", "`vigia automation list`"],
            ),
            (
                &["automation", "disable", nowhere],
                1,
                &["there is no automation", "`vigia automation list`"],
            ),
            (
                &["kill-switch", "on", "--automation", nowhere],
                1,
                &["there is no automation", "`vigia automation list`"],
            ),
            (
                &["execution", "show", nowhere],
                1,
                &["there is no execution", "`vigia execution list`"],
            ),
            (&["job", "show", "x"], 1, &["no job", "`vigia job list`"]),
            (
                &["kill-switch", "off"],
                1,
                &["no kill switch is on", "`vigia kill-switch list`"],
            ),
            (
                &["status"],
                1,
                &[
                    "no service runs on the data folder",
                    "`vigia run`",
                    "--data-dir",
                ],
            ),
            (&["health"], 1, &["no service answers", "--data-dir"]),
            (
                &["account", "restart", "alice"],
                1,
                &["no service runs on the data folder", "`vigia run`"],
            ),
        ],
    )
    .await;

    let watchman = stage.start();
    watchman.until_armed(1).await;
    // The same, said by the service.
    complain(
        &stage,
        &[
            (
                &["account", "pause", "nobody"],
                1,
                &["there is no account `nobody`", "`vigia account list`"],
            ),
            (
                &["automation", "disable", nowhere],
                1,
                &["there is no automation", "`vigia automation list`"],
            ),
            (
                &["kill-switch", "off"],
                1,
                &["no kill switch is on", "`vigia kill-switch list`"],
            ),
            (
                &["status", "--account", "nobody"],
                1,
                &["serves no account `nobody`", "`vigia account list`"],
            ),
            (
                &["account", "remove", "alice"],
                1,
                &["a position that runs", "disable"],
            ),
            (&["run"], 1, &["pid", "data"]),
        ],
    )
    .await;

    // A file that leads to a service of another folder: its token is none there.
    let right = Access::read(stage.data_dir()).unwrap();
    let wrong = Access::fresh(right.address);
    wrong.write(stage.data_dir()).unwrap();
    complain(
        &stage,
        &[(
            &["status"],
            1,
            &["does not know the token", "--data-dir", "restart"],
        )],
    )
    .await;
    right.write(stage.data_dir()).unwrap();
    stage.cli(&["status"]).await.ok();
    watchman.stop().await;
}

async fn with(stage: &Stage, more: &str, words: &[&str]) -> Said {
    let file = stage.config_file().with_file_name("other.toml");
    std::fs::write(&file, more).unwrap();
    let mut command = vigia();
    command.args(words).arg("--config").arg(&file);
    command.arg("--data-dir").arg(stage.data_dir());
    Said::by(&mut command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_or_a_store_that_cannot_be_used_is_named_without_its_secrets() {
    const SECRET: &str = "hunter2hunter2";
    let stage = Stage::in_a_file().await;
    let mysql = format!("[store]\nurl = \"mysql://vigia:{SECRET}@db/vigia\"\n");
    // Nobody listens there.
    let away = format!("[store]\nurl = \"postgres://vigia:{SECRET}@127.0.0.1:1/vigia\"\n");
    let typo = format!("[store]\nulr = \"{SECRET}\"\n");
    for (config, says) in [
        (
            &mysql,
            &["postgres://USER:PASSWORD@HOST/DATABASE", "sqlite://"][..],
        ),
        (&away, &["127.0.0.1:1"]),
        (&typo, &["ulr", "url"]),
        (&"[store".to_owned(), &["other.toml"]),
    ] {
        let said = with(&stage, config, &["account", "list"]).await;
        let told = format!("{said:?}");
        assert!(!told.contains(SECRET), "{told}");
        said.refused(says);
    }
    let elsewhere = stage.data_dir().join("elsewhere");
    let elsewhere = elsewhere.display().to_string();
    let mut command = vigia();
    command.args(["account", "list", "--data-dir", &elsewhere]);
    let output = run_to_end(&mut command).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let says = ["no database yet", "`vigia account add NAME`", "--data-dir"];
    assert!(says.iter().all(|part| told.contains(part)), "{told}");
    let mut command = vigia();
    command.args(["account", "list", "--config", "/nowhere.toml"]);
    let output = run_to_end(&mut command).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("/nowhere.toml"), "{told}");
}
