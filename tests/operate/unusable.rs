//! What is stored and cannot be used is seen by whoever looks; and whatever is stored, it does not steer
//! the terminal of whoever looks.

use sea_orm::{ConnectionTrait, Database};

use crate::scrape::{Scrape, until};
use crate::stage::{Deed, Stage};
use crate::watchman::Watchman;

async fn written(stage: &Stage, sql: &str) {
    let url = format!("sqlite://{}?mode=rw", stage.database().display());
    let mut options = sea_orm::ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let other = Database::connect(options).await.unwrap();
    other.execute_unprepared(sql).await.unwrap();
    other.close().await.unwrap();
}

async fn until_unusable(stage: &Stage, watchman: &Watchman, what: &str, count: f64) {
    until("it is counted", watchman, || async {
        let scrape = Scrape::of(stage).await;
        (scrape.value("vigia_unusable", &[("what", what)]) == Some(count)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_another_master_key_no_account_is_served_and_everybody_is_told() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Add).await;
    stage.guarded("bob", Deed::Add).await;
    std::fs::remove_file(stage.settings().key_file()).unwrap();
    stage.cli(&["key", "generate"]).await.ok();
    let watchman = stage.start();
    watchman
        .until_where("alice's account is told", |line| {
            line["event"] == "config.unusable" && line["account_name"] == "alice"
        })
        .await;
    until_unusable(&stage, &watchman, "account", 2.0).await;
    let said = stage.cli(&["status"]).await.ok();
    said.says(&[
        "UNUSABLE",
        "accounts that cannot be served: 2",
        "config.unusable",
    ]);
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_another_program_has_spoilt_is_told_and_counted_until_it_is_mended() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    until_unusable(&stage, &watchman, "row", 0.0).await;
    written(
        &stage,
        "CREATE TABLE before AS SELECT config FROM automations; \
         UPDATE automations SET config = '{\"action\":\"fly\"}'",
    )
    .await;
    let told = watchman.until("config.unusable").await;
    assert_eq!(told["account_name"], "alice", "{told}");
    assert!(told["account_id"].is_string(), "{told}");
    until_unusable(&stage, &watchman, "row", 1.0).await;
    stage.cli(&["status"]).await.ok().says(&["obeyed: 1"]);
    written(
        &stage,
        "UPDATE automations SET config = (SELECT config FROM before); DROP TABLE before",
    )
    .await;
    until_unusable(&stage, &watchman, "row", 0.0).await;
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_another_program_does_not_steer_the_terminal_of_who_looks() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Add).await;
    written(
        &stage,
        "UPDATE user_exchange_accounts SET account_name = \
         'al' || char(27) || '[2J' || char(13, 10) || 'connection/bob live' || char(7)",
    )
    .await;
    let shown = "al [2J  connection/bob live";
    let looked = |text: &str| {
        let steers = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(steers), "{text:?}");
        assert!(text.contains(shown), "{text}");
        let alone = text.lines().any(|line| line.starts_with("connection/bob"));
        assert!(!alone, "it is on a line of its own: {text}");
    };
    looked(&stage.cli(&["check"]).await.out);
    let watchman = stage.start();
    watchman.until_armed(1).await;
    for command in [["status"].as_slice(), &["account", "list"]] {
        looked(&stage.cli(command).await.ok().out);
    }
    // What is for programs is as it is stored.
    let json = stage.cli(&["account", "list", "--json"]).await.ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["name"], "al\u{1b}[2J\r\nconnection/bob live\u{7}");
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_beside_a_service_names_what_is_better_asked() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let said = stage.cli(&["check"]).await;
    said.refused(&["`vigia status`", "holds this data folder", "`vigia why`"]);
    watchman.stop().await;
}
