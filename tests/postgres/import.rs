//! Accounts and automations of the Node application, taken over from its own tables.

use std::path::Path;
use std::process::Command;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use vigia::app;
use vigia::config::{Environment, Settings};
use vigia::domain::ids::AccountId;

use crate::server::Server;
use crate::watchman::{run_to_end, vigia};

/// Stands in every secret of the tests, and must stand in no output.
const SECRET: &str = "hunter2";

/// The application's tables. The names of two of them are those of ours.
const TABLES: &str = r#"
CREATE TABLE exchanges (id int PRIMARY KEY, name text, slug text);
CREATE TABLE user_exchange_accounts (id uuid PRIMARY KEY, user_id text, exchange_id int,
    account_name text, credentials json, is_active boolean);
CREATE TABLE "Automation" (id text PRIMARY KEY, user_id text, user_exchange_account_id uuid,
    type text, config json, is_active boolean);
CREATE TABLE automations (id int);
INSERT INTO exchanges VALUES (1, 'LN Markets', 'ln-markets'), (2, 'Other', 'other');
"#;

const CLEAR: &str = r#"{"key": "k-hunter2", "secret": "s-hunter2", "passphrase": "p-hunter2"}"#;
const NODE: &str = r#"{"apiKey": "k-hunter2", "apiSecret": "s-hunter2", "passphrase": "p"}"#;
const SEALED: &str = r#"{"iv": "00ff", "data": "hunter2"}"#;
const GUARD: &str = r#"{"action": "close_position", "margin_threshold": 0.85}"#;

/// The application's database, and the service beside it.
struct Both {
    node: DatabaseConnection,
    server: Server,
    folder: TempDir,
    /// Of the service's store; empty: a file.
    url: String,
}

impl Both {
    async fn set(on_the_same_server: bool) -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let mut options = ConnectOptions::new(server.url());
        options.max_connections(1).sqlx_logging(false);
        let node = Database::connect(options).await.unwrap();
        // The schema of a user's own name, which is ours here, comes first otherwise.
        let public = "SET search_path = public";
        node.execute_unprepared(public).await.unwrap();
        node.execute_unprepared(TABLES).await.unwrap();
        let url = if on_the_same_server {
            server.url()
        } else {
            String::new()
        };
        let both = Self {
            node,
            server,
            folder,
            url,
        };
        assert!(both.vigia(&["key", "generate"]).await.status.success());
        both
    }

    async fn sql(&self, sql: &str) {
        self.node.execute_unprepared(sql).await.unwrap();
    }

    async fn account(&self, n: u8, values: &str) {
        self.sql(&format!(
            "INSERT INTO user_exchange_accounts VALUES ('{}', {values})",
            id(n)
        ))
        .await;
    }

    async fn automation(&self, name: &str, account: u8, values: &str) {
        self.sql(&format!(
            "INSERT INTO \"Automation\" (id, user_exchange_account_id, user_id, type, config, \
             is_active) VALUES ('{name}', '{}', {values})",
            id(account)
        ))
        .await;
    }

    async fn vigia(&self, arguments: &[&str]) -> std::process::Output {
        let mut command: Command = vigia();
        command.env("VIGIA_DATA_DIR", self.data());
        command.env("DATABASE_URL", &self.url).args(arguments);
        let output = run_to_end(&mut command).await;
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(SECRET), "{arguments:?}: {text}");
        }
        output
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.vigia(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn import(&self, more: &[&str]) -> Value {
        let url = self.server.url() + "?schema=public&connection_limit=3";
        let arguments = ["import", "--json", "--from", &url];
        self.json(&[&arguments, more].concat()).await
    }

    /// All that is stored, as the command line lists it.
    async fn stored(&self) -> [Value; 2] {
        [
            self.json(&["account", "list", "--json"]).await,
            self.json(&["automation", "list", "--json"]).await,
        ]
    }
}

fn id(n: u8) -> String {
    uuid::Uuid::from_u128(n.into()).to_string()
}

/// What became of each row, and why.
fn fates(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = report["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| (text(&row["id"]), text(&row["fate"]), text(&row["reason"])))
        .collect()
}

#[track_caller]
fn assert_fate(report: &Value, id: &str, fate: &str, reason: &str) {
    let fates = fates(report);
    let found = fates.iter().find(|(row, ..)| row == id).expect(id);
    assert_eq!(found.1, fate, "{found:?}");
    assert!(found.2.contains(reason), "{found:?}");
}

async fn all_is_carried_over_or_told(on_the_same_server: bool) {
    let both = Both::set(on_the_same_server).await;
    both.account(1, &format!("'user-1', 1, 'main', '{CLEAR}', true"))
        .await;
    both.account(2, &format!("'user-2', 1, 'second', '{NODE}', false"))
        .await;
    both.account(3, &format!("'user-1', 1, 'sealed', '{SEALED}', true"))
        .await;
    both.account(4, &format!("'user-1', 2, 'elsewhere', '{CLEAR}', true"))
        .await;
    both.account(5, &format!("'user-1', 1, 'twin', '{CLEAR}', true"))
        .await;
    both.account(6, &format!("'user-2', 1, 'twin', '{CLEAR}', true"))
        .await;
    both.account(7, &format!("'user-1', 1, 'undecided', '{CLEAR}', NULL"))
        .await;
    both.account(8, "'user-1', 1, 'bare', NULL, true").await;
    both.account(9, &format!("'user-1', 77, 'nowhere', '{CLEAR}', true"))
        .await;
    both.automation(
        "a-1",
        1,
        &format!("'user-1', 'margin_guard', '{GUARD}', true"),
    )
    .await;
    both.automation(
        "a-2",
        2,
        &format!("'user-2', 'margin_guard', '{GUARD}', false"),
    )
    .await;
    both.automation(
        "a-3",
        3,
        &format!("'user-1', 'margin_guard', '{GUARD}', true"),
    )
    .await;
    both.automation(
        "a-4",
        1,
        &format!("'user-2', 'margin_guard', '{GUARD}', true"),
    )
    .await;
    both.automation(
        "a-5",
        1,
        "'user-1', 'margin_guard', '{\"action\": \"dance\"}', true",
    )
    .await;
    both.automation("a-6", 1, "'user-1', 'dca', '{}', true")
        .await;
    both.automation("a-7", 1, "'user-1', 'margin_guard', NULL, true")
        .await;

    let planned = both.import(&["--dry-run"]).await;
    assert_eq!(planned["dryRun"], true);
    if on_the_same_server {
        let schema = "SELECT 1 FROM pg_namespace WHERE nspname = 'vigia'";
        let made = both.node.execute_unprepared(schema).await.unwrap();
        assert_eq!(made.rows_affected(), 0, "a dry run made a schema");
    } else {
        assert!(
            !both.data().join("vigia.db").exists(),
            "a dry run made a file"
        );
    }
    let report = both.import(&[]).await;
    assert_eq!(
        report["rows"], planned["rows"],
        "it did something else than it said"
    );
    for (row, fate, reason) in [
        (id(1).as_str(), "added", ""),
        (id(2).as_str(), "added", ""),
        (id(3).as_str(), "left_out", "encrypted"),
        (id(4).as_str(), "left_out", "other"),
        (id(5).as_str(), "left_out", "same name"),
        (id(6).as_str(), "left_out", "same name"),
        (id(7).as_str(), "left_out", "is_active"),
        (id(8).as_str(), "left_out", "no JSON object"),
        (id(9).as_str(), "left_out", "no exchange 77"),
        ("a-1", "added", ""),
        ("a-2", "added", ""),
        ("a-3", "left_out", "not carried over"),
        ("a-4", "left_out", "another user's"),
        ("a-5", "left_out", "action"),
        ("a-6", "left_out", "dca"),
        ("a-7", "left_out", "no config"),
    ] {
        assert_fate(&report, row, fate, reason);
    }
    assert_eq!(report["accountsAdded"], 2);
    assert_eq!(report["leftOut"], 12);

    let stored = both.stored().await;
    let [accounts, automations] = &stored;
    assert_eq!(accounts.as_array().unwrap().len(), 2);
    let main = &accounts[0];
    assert_eq!(main["id"], id(1));
    assert_eq!(
        (&main["userId"], &main["network"]),
        (&json!("user-1"), &json!("mainnet"))
    );
    assert_eq!(accounts[1]["isActive"], false);
    for (automation, active) in automations.as_array().unwrap().iter().zip([true, false]) {
        assert_eq!(automation["live"], false);
        assert_eq!(automation["isActive"], active);
    }
    opens(&both, &both.data()).await;

    let again = both.import(&[]).await;
    assert_eq!(again["unchanged"], 4);
    assert_eq!(
        (&again["accountsAdded"], &again["automationsAdded"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(both.stored().await, stored);

    let other = NODE.replace("s-", "t-");
    both.sql(&format!(
        "UPDATE user_exchange_accounts SET credentials = '{other}' WHERE account_name = 'second'; \
         UPDATE \"Automation\" SET config = '{{}}' WHERE id = 'a-1'; \
         UPDATE user_exchange_accounts SET account_name = 'twin-2' WHERE id = '{}'",
        id(6)
    ))
    .await;
    let later = both.import(&[]).await;
    assert_fate(&later, &id(2), "differs", "credentials");
    assert_fate(&later, "a-1", "differs", "config");
    assert_fate(&later, &id(5), "added", "");
    assert_fate(&later, &id(6), "added", "");
    let [_, automations] = both.stored().await;
    assert_eq!(automations, stored[1]);
}

/// The credentials that were taken over are those that were given.
async fn opens(both: &Both, data: &Path) {
    let environment = |name: &str| match name {
        "VIGIA_DATA_DIR" => Some(data.display().to_string()),
        "DATABASE_URL" if !both.url.is_empty() => Some(both.url.clone()),
        _ => None,
    };
    let settings = Settings::load(None, &Environment(&environment)).unwrap();
    let vault = app::open_vault(&settings).unwrap();
    let store = app::open_store(&settings, Some(vault)).await.unwrap();
    let credentials = store.credentials(&AccountId::new(id(2))).await.unwrap();
    assert_eq!(credentials.key.expose_secret(), "k-hunter2");
    assert_eq!(credentials.secret.expose_secret(), "s-hunter2");
    assert_eq!(credentials.passphrase.expose_secret(), "p");
    store.close().await;
}

#[tokio::test]
async fn into_a_schema_beside_the_applications_own_tables() {
    all_is_carried_over_or_told(true).await;
}

#[tokio::test]
async fn into_a_file() {
    all_is_carried_over_or_told(false).await;
}

#[tokio::test]
async fn what_is_no_such_application_is_told_and_nothing_is_made() {
    let both = Both::set(false).await;
    both.sql("DROP TABLE exchanges").await;
    let url = both.server.url();
    for (from, says) in [
        (url.clone(), "exchanges"),
        (url.clone() + "?schema=nowhere", "nowhere"),
        (
            "postgres://u:hunter2@127.0.0.1:1/db".to_owned(),
            "cannot be read",
        ),
        ("mysql://u:hunter2@h/db".to_owned(), "postgres://"),
    ] {
        let output = both.vigia(&["import", "--dry-run", "--from", &from]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(says), "{told}");
    }
    assert!(!both.data().join("vigia.db").exists());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    for address in [
        "garbage",
        "u:hunter2@h/db",
        "mysql://u:hunter2@h/db",
        "vigia.db",
    ] {
        for command in [&["account", "list"][..], &["migrate"], &["run"]] {
            let mut vigia = vigia();
            vigia.current_dir(folder.path()).args(["--data-dir", "."]);
            vigia.env("DATABASE_URL", address).args(command);
            // A key, so that this is not what it fails for.
            vigia.env("VIGIA_MASTER_KEY", "A".repeat(43) + "=");
            let output = run_to_end(&mut vigia).await;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{told}");
            let says = told.contains("not the address of a database");
            assert!(says && !told.contains(SECRET), "{address}: {told}");
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["vigia.lock"]);
}
