//! `vigia job`, the real program, on both backends.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AutomationId, UserId};
use vigia::domain::rules::RuleKind;
use vigia::store::{NewAccount, NewAutomation, Store, Vault};

use crate::node::Node;
use crate::redis_server::RedisServer;
use crate::stage::{QUEUE, Works, bull, done, options};

struct Stage {
    folder: TempDir,
    automation: AutomationId,
}

impl Stage {
    async fn new(queue: &str) -> Self {
        use secrecy::ExposeSecret;
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "data_dir = \"{}\"\n[queue]\n{queue}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("vigia.toml"), config).unwrap();
        let key = Vault::generate_key_text().unwrap();
        let vault = Vault::from_key_text(key.expose_secret()).unwrap();
        let path = folder.path().join("vigia.db");
        let store = Store::open(path.to_str().unwrap(), Some(vault))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let now = chrono::DateTime::UNIX_EPOCH;
        let account = NewAccount {
            user_id: UserId::new("user-1"),
            name: "main".to_owned(),
            network: "mainnet".to_owned(),
            credentials: Credentials::new("key", "secret", "passphrase"),
        };
        let account = store.add_account(account, now).await.unwrap();
        let automation = NewAutomation {
            account: account.id,
            kind: RuleKind::MarginGuard,
            config: json!({ "action": "close_position", "margin_threshold": 0.7, "metric": "margin_used" }),
            live: false,
            active: true,
        };
        let automation = store.add_automation(automation, now).await.unwrap().id;
        store.close().await;
        Self { folder, automation }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.folder.path().join("vigia.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
        command.env_clear().stdin(Stdio::null());
        command
            .args(["--config", config.to_str().unwrap(), "job"])
            .args(arguments);
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What can be said and asked on either backend.
    fn story(&self) -> String {
        let automation = self.automation.as_str();
        let added = self.json(&["add", automation, "--json"]);
        let id = added["id"].as_str().unwrap().to_owned();
        let trade = "0a1b2c3d-0000-4000-8000-00000000000f";
        let own = [
            "add",
            automation,
            "--id",
            "own-1",
            "--trade-id",
            trade,
            "--action",
            "close_position",
            "--priority",
            "1",
            "--attempts",
            "5",
            "--delay-ms",
            "600000",
            "--json",
        ];
        assert_eq!(self.json(&own), json!({ "id": "own-1", "existed": false }));
        assert_eq!(self.json(&own), json!({ "id": "own-1", "existed": true }));
        let shown = self.json(&["show", "own-1", "--json"]);
        assert_eq!(shown["state"], "delayed");
        assert_eq!(
            (&shown["priority"], &shown["attempts"]),
            (&json!(1), &json!(5))
        );
        let data = json!({ "userId": "user-1", "automationId": automation,
            "action": "close_position", "tradeId": trade });
        assert_eq!(shown["data"], data);
        let listed = self.json(&["list", "--json"]);
        assert_eq!(listed["counts"]["waiting"], 1);
        assert_eq!(listed["counts"]["delayed"], 1);
        assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
        let waiting = self.json(&["list", "--state", "waiting", "--json"]);
        assert_eq!(waiting["jobs"][0]["id"], json!(id));
        let table = String::from_utf8(self.run(&["list"]).stdout).unwrap();
        assert!(
            table.contains("own-1") && table.contains("STATE"),
            "{table}"
        );
        let told = self.refused(&["retry", "own-1"]);
        assert!(told.contains("only one that has failed"), "{told}");
        let told = self.refused(&["show", "none"]);
        assert!(told.contains("vigia job list"), "{told}");
        let told = self.refused(&["add", "nothing"]);
        assert!(told.contains("vigia automation list"), "{told}");
        let told = self.refused(&["add", automation, "--id", "17"]);
        assert!(told.contains("no number"), "{told}");
        let told = self.refused(&["add", automation, "--priority", "2097152"]);
        assert!(told.contains("0 to 2097151"), "{told}");
        id
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_added_shown_and_tried_again_in_the_database() {
    let stage = Stage::new("backend = \"database\"").await;
    let id = stage.story();
    // As if it had failed.
    let path = stage.folder.path().join("vigia.db");
    let database = sea_orm::Database::connect(format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    let failed =
        format!("update jobs set state = 'failed', failed_reason = 'why' where id = '{id}'");
    sea_orm::ConnectionTrait::execute_unprepared(&database, &failed)
        .await
        .unwrap();
    let shown = String::from_utf8(stage.run(&["show", &id]).stdout).unwrap();
    assert!(shown.contains("why"), "{shown}");
    assert!(stage.run(&["retry", &id]).status.success());
    assert_eq!(stage.json(&["show", &id, "--json"])["state"], "waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_added_shown_and_tried_again_on_redis() {
    let mut redis = RedisServer::start().await;
    let config = format!("backend = \"redis\"\nredis_url = \"{}\"", redis.url());
    let stage = Stage::new(&config).await;
    let node = Node::start(6, &redis.url(), QUEUE).await;
    let id = stage.story();
    assert_eq!(node.job(&id).await["opts"]["priority"], 8);
    let works = Works::start(&bull(&redis.url(), options()), |job| {
        match job.attempts_made {
            0 => vigia::queue::Outcome::Failed("why".to_owned()),
            _ => done(job),
        }
    });
    node.wait(&id).await;
    let shown = stage.json(&["show", &id, "--json"]);
    assert_eq!(
        (&shown["state"], &shown["failedReason"]),
        (&json!("failed"), &json!("why"))
    );
    assert!(stage.run(&["retry", &id]).status.success());
    crate::waiting::until("success after the retry", || async {
        let shown = stage.json(&["show", &id, "--json"]);
        (shown["state"] == "completed" && shown["returnValue"]["status"] == "completed")
            .then_some(())
    })
    .await;
    assert!(works.close().await);
    redis.kill();
    let told = stage.refused(&["list"]);
    assert!(
        told.contains("REDIS_URL") && told.contains("refused"),
        "{told}"
    );
}
