//! Commands as they are typed, on a real database.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use clap::Parser;
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::context::{Context, Prompt};
use super::{Cli, Command, stored};
use crate::app;
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::domain::credentials::Credentials;
use crate::domain::execution::{Action, Decision, State};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::position::Side;
use crate::domain::rules::{Limits, RuleKind};
use crate::domain::units::Usd;
use crate::domain::units::{Price, Sats};
use crate::exchange::{NewCrossOrder, NewTrade};
use crate::journal::{Journal, NewExecution};
use crate::simulator::{AccountConfig, Simulator, SimulatorConfig};
use crate::store::Store;

const GUARD: &str = r#"{"action": "add_margin", "add_margin_amount": 500, "margin_threshold": 70, "metric": "margin_used"}"#;

fn now() -> DateTime<Utc> {
    "2025-01-10T00:05:00Z".parse().unwrap()
}

#[derive(Default)]
struct Answers {
    typed: VecDeque<&'static str>,
    stdin: &'static str,
}

impl Prompt for Answers {
    fn ask(&mut self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        let answer = self.typed.pop_front();
        let answer = answer.ok_or_else(|| anyhow::anyhow!("nobody answers for the {what}"))?;
        Ok(Zeroizing::new(answer.to_owned()))
    }

    fn stdin(&mut self) -> anyhow::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(self.stdin.to_owned()))
    }
}

/// What a command said, and whether it succeeded.
#[derive(Debug)]
struct Said {
    out: String,
    notes: String,
    error: Option<String>,
}

impl Said {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.error, None, "{}", self.out);
        self
    }

    #[track_caller]
    fn refused(self, says: &[&str]) -> String {
        let error = self.error.expect("it was to be refused");
        for part in says {
            assert!(error.contains(part), "{error}");
        }
        error
    }

    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.ok().out).unwrap()
    }
}

struct Shell {
    folder: TempDir,
    settings: Settings,
    answers: Answers,
}

impl Shell {
    fn new() -> Self {
        // As the process does it, once.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(None, &Environment(&|_| None)).unwrap();
        settings.data_dir = folder.path().join("data");
        // Nobody listens there: commands that would ask the exchange are told so at once.
        for network in settings.networks.values_mut() {
            network.api_url = "http://127.0.0.1:1".to_owned();
        }
        Self {
            folder,
            settings,
            answers: Answers::default(),
        }
    }

    async fn run(&mut self, arguments: &[&str]) -> Said {
        let typed = ["vigia"].into_iter().chain(arguments.iter().copied());
        let Command::Stored(command) = Cli::try_parse_from(typed).unwrap().command else {
            panic!("{arguments:?} is no command of the store");
        };
        let (mut out, mut notes) = (vec![], vec![]);
        let mut context = Context {
            out: &mut out,
            notes: &mut notes,
            prompt: &mut self.answers,
            now: now(),
        };
        let done = stored::carry_out(&command, &self.settings, &mut context).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            out: text(out),
            notes: text(notes),
            error: done.err().map(|error| format!("{error:#}")),
        }
    }

    /// With a key, one account `main` and one automation, whose id it returns.
    async fn with_automation() -> (Self, String) {
        let mut shell = Self::new();
        shell.run(&["key", "generate"]).await.ok();
        shell.answers.stdin = "k\ns\np\n";
        let add = ["account", "add", "main", "--credentials-stdin"];
        shell.run(&add).await.ok();
        let add = ["automation", "add", "--account", "main", "--json"];
        let guard = ["--type", "margin_guard", "--rule", GUARD];
        let added = shell
            .run(&[add.as_slice(), guard.as_slice()].concat())
            .await;
        let id = added.json()["automation"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        (shell, id)
    }

    async fn store(&self) -> Store {
        Store::open(&self.settings.database_url(), None)
            .await
            .unwrap()
    }

    /// An execution that nobody can tell the outcome of.
    async fn uncertain(&self, automation: &str) -> ExecutionId {
        let store = self.store().await;
        let automation = store
            .automation(&AutomationId::new(automation))
            .await
            .unwrap();
        let epoch = store.claim_ownership("test", now()).await.unwrap();
        let journal = Journal::new(store.clone(), epoch);
        let (id, position) = (
            ExecutionId(uuid::Uuid::from_u128(1)),
            PositionId(uuid::Uuid::from_u128(2)),
        );
        let opening = journal.open_episode(&automation.id, position, 1, 1, now(), true);
        opening.await.unwrap();
        let new = NewExecution {
            id,
            automation: automation.id,
            account: automation.account_id,
            user: automation.user_id,
            position,
            rule_version: 1,
            episode: 1,
            action: Action::AddMargin { amount: Sats(500) },
            decision: Decision {
                rule: RuleKind::MarginGuard,
                wanted: "add_margin".into(),
                fallback: false,
                pnl: None,
                pnl_percentage: None,
                metric: "margin_used".into(),
                metric_value: Some(0.71),
                threshold: 0.7,
                margin_ratio: Some(0.1),
                price: Price::from_usd(93_000.0).unwrap(),
                data_age_ms: 3,
                position: None,
                level: Default::default(),
                network: None,
            },
        };
        let action = new.action;
        journal.fire(new, Limits::default(), now()).await.unwrap();
        journal
            .begin_sending(id, action, None, now())
            .await
            .unwrap();
        journal
            .uncertain(id, json!({"added": 250}), now())
            .await
            .unwrap();
        store.close().await;
        id
    }
}

#[test]
fn secrets_are_no_arguments_and_wrong_usage_is_code_2() {
    for wrong in [
        vec!["account", "add", "main", "--secret", "hunter2"],
        vec!["account", "add"],
        vec![
            "account",
            "add",
            "a",
            "--credentials-stdin",
            "--credentials-file",
            "f",
        ],
        vec!["automation", "check", "--type", "margin_guard"],
        vec!["automation", "check", "--type", "dance", "--rule", "{}"],
        vec![
            "automation",
            "check",
            "--type",
            "margin_guard",
            "--rule",
            "{}",
            "--price",
            "-1",
        ],
        vec!["execution", "list", "--state", "asleep"],
        vec![
            "execution",
            "resolve",
            "00000000-0000-0000-0000-000000000001",
            "--as",
            "done",
        ],
        vec!["migrate", "--rollback", "1"],
    ] {
        let typed = ["vigia"].into_iter().chain(wrong.iter().copied());
        let error = Cli::try_parse_from(typed).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{wrong:?}");
    }
}

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
async fn a_check_shows_what_a_rule_would_do_and_needs_no_store() {
    let mut shell = Shell::new();
    let check = |config| {
        [
            "automation",
            "check",
            "--type",
            "margin_guard",
            "--rule",
            config,
        ]
    };
    let said = shell.run(&check(GUARD)).await.ok();
    let expected = "\
margin_guard: add_margin 500 sats at margin_used >= 0.7, cooldown 60 s

For 1000 USD, opened at 100000:
POSITION   LIQUIDATION  ON      FIRES AT   MOVE      FROM LIQUIDATION
long 1x    50000        danger  58823.54   -41.18 %  15.00 %
long 10x   90909        danger  93457.98   -6.54 %   2.73 %
long 50x   98039        danger  98619.37   -1.38 %   0.59 %
short 1x   100000000    danger  333332.78  233.33 %  29900.05 %
short 10x  111111       danger  107526.83  7.53 %    3.33 %
short 50x  102041       danger  101419.83  1.42 %    0.61 %
";
    assert_eq!(said.out, expected);
    assert!(
        said.notes
            .contains("warning: long 50x, danger: it fires 0.59 % from"),
        "{}",
        said.notes
    );
    let late = r#"{"action": "close_position", "margin_threshold": 0.5}"#;
    let said = shell.run(&check(late)).await.ok();
    assert_eq!(said.notes.lines().count(), 6, "{}", said.notes);

    let with_json = |config| [check(config).as_slice(), &["--json", "--price", "50000"]].concat();
    let report = shell.run(&with_json(GUARD)).await.json();
    assert_eq!(report["config"]["margin_threshold"], json!(0.7));
    assert_eq!(report["examples"][1]["leverage"], json!(10));
    assert_eq!(report["examples"][0]["liquidation"], json!(25000));
    let wrong = r#"{"action": "dance", "colour": 1}"#;
    let said = shell.run(&with_json(wrong)).await;
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["errors"].as_array().unwrap().len(), 3);
    let fields = [
        "\n  action: ",
        "\n  margin_threshold: missing",
        "\n  colour: ",
    ];
    said.refused(&fields);
    shell.run(&check("{")).await.refused(&["--rule is no JSON"]);
    assert!(!shell.settings.data_dir.exists());
}

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
    let wrong = [
        "automation",
        "add",
        "--account",
        "main",
        "--type",
        "margin_guard",
        "--rule",
        "{}",
    ];
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

/// An exchange on this machine with the account that `Shell::with_automation` knows, which has a
/// trade and a cross position.
async fn exchange(shell: &mut Shell) -> Simulator {
    let mut account = AccountConfig::new("k", "s", "p", 1_000_000);
    account.cross_margin_sats = 500_000;
    let config = SimulatorConfig {
        accounts: vec![account],
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let network = shell.settings.networks.get_mut("mainnet").unwrap();
    network.api_url = simulator.api_url();
    network.stream_url = simulator.stream_url();
    let rest = app::rest_client(&shell.settings, "mainnet", Clock::start()).unwrap();
    let (who, now) = (Credentials::new("k", "s", "p"), rest.clock().now());
    let trade = NewTrade::market(Side::Buy, Usd(1000), 10.0, "trade");
    rest.open(&who, &trade, now).await.unwrap();
    let order = NewCrossOrder {
        side: Side::Buy,
        quantity: Usd(400),
        client_id: "order".to_owned(),
    };
    rest.cross_order(&who, &order, now).await.unwrap();
    simulator
}

#[tokio::test]
async fn a_rule_is_shown_for_the_accounts_own_positions() {
    let (mut shell, _) = Shell::with_automation().await;
    let _exchange = exchange(&mut shell).await;
    let check = [
        "automation",
        "check",
        "--type",
        "margin_guard",
        "--rule",
        GUARD,
        "--account",
        "main",
    ];
    let report = shell
        .run(&[check.as_slice(), &["--json"]].concat())
        .await
        .json();
    let own = &report["account"];
    assert_eq!(
        (&own["name"], &own["price"]),
        (&json!("main"), &json!(100_000))
    );
    let trade = &own["positions"][0];
    assert_eq!(trade["marginMode"], "isolated");
    assert_eq!(trade["liquidation"], json!(90_909));
    assert_eq!(trade["firesAt"], json!(93_457.98));
    let cross = &own["positions"][1];
    assert_eq!(
        (&cross["marginMode"], &cross["side"]),
        (&json!("cross"), &json!("buy"))
    );
    assert!(cross["firesAt"].as_f64().unwrap() < 60_000.0, "{cross}");
    let said = shell.run(&check).await.ok();
    assert!(
        said.out.contains("For account main, at 100000:"),
        "{}",
        said.out
    );
    assert!(said.out.contains("long 10.0x "), "{}", said.out);
    assert!(said.out.contains("long 1.0x cross "), "{}", said.out);

    let entry = r#"{"side": "b", "quantity": 1000, "trigger_price": 100000}"#;
    let add = [
        "automation",
        "add",
        "--account",
        "main",
        "--type",
        "auto_entry",
        "--rule",
        entry,
    ];
    let said = shell
        .run(&[add.as_slice(), &["--disabled"]].concat())
        .await
        .ok();
    assert!(said.notes.contains("it enters at once"), "{}", said.notes);
}

#[tokio::test]
async fn why_the_accounts_positions_were_not_read_is_said() {
    let (mut shell, _) = Shell::with_automation().await;
    let add = [
        "automation",
        "add",
        "--account",
        "main",
        "--type",
        "margin_guard",
        "--rule",
        GUARD,
    ];
    let said = shell.run(&add).await.ok();
    let note = "note: the positions of account main were not read: ";
    assert!(said.notes.contains(note), "{}", said.notes);
    let said = shell
        .run(&[add.as_slice(), &["--offline"]].concat())
        .await
        .ok();
    assert!(!said.notes.contains(note), "{}", said.notes);
    let report = shell
        .run(&[add.as_slice(), &["--json"]].concat())
        .await
        .json();
    assert!(report["account"]["error"].is_string(), "{report}");
}

/// What cannot be obeyed is refused by both, with the same errors.
#[tokio::test]
async fn what_check_refuses_add_refuses_too() {
    let (mut shell, _) = Shell::with_automation().await;
    for (kind, rule) in [
        (
            "margin_guard",
            r#"{"action": "reduce_position", "margin_threshold": 0.5}"#,
        ),
        (
            "tp_sl",
            r#"{"action": "update_sl", "new_takeprofit": 5, "trigger_pnl_percentage": 1}"#,
        ),
        (
            "auto_entry",
            r#"{"side": "b", "quantity": 5, "margin_mode": "cross", "stoploss": 9}"#,
        ),
    ] {
        let rule = ["--type", kind, "--rule", rule, "--json"];
        let check = [["automation", "check"].as_slice(), &rule].concat();
        let add = [["automation", "add", "--account", "main"].as_slice(), &rule].concat();
        let (checked, added) = (shell.run(&check).await, shell.run(&add).await);
        let told: Value = serde_json::from_str(&checked.out).unwrap();
        let errors = told["errors"].as_array().unwrap();
        assert!(!errors.is_empty());
        for error in errors {
            assert!(
                error["field"].is_string() && error["allowed"].is_string(),
                "{error}"
            );
            assert!(error.get("value").is_some(), "{error}");
        }
        assert_eq!(checked.out, added.out);
        assert_eq!(checked.error, added.error);
    }
}

#[tokio::test]
async fn an_execution_is_explained_with_what_was_seen_and_decided() {
    let (mut shell, automation) = Shell::with_automation().await;
    let id = shell.uncertain(&automation).await.to_string();
    let said = shell.run(&["why", &id]).await.ok().out;
    for part in [
        "(margin_guard) of account main, for position 00000000-",
        "Saw: a price of 93,000, 3 ms old",
        "Held margin_used = 0.710000 against 0.7",
        "Decided: add_margin by itself, in episode 1",
        "vigia execution resolve",
        "Rule: margin_guard: add_margin 500 sats at margin_used >= 0.7, cooldown 60 s (version 1).",
        "Arming now: episode 1 has fired",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let report = shell.run(&["why", &id, "--json"]).await.json();
    assert_eq!(report["execution"]["decision"]["metricValue"], json!(0.71));
    assert!(report["explanation"].as_array().unwrap().len() >= 4);
}

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

#[tokio::test]
async fn why_nothing_was_done_is_explained() {
    let (mut shell, automation) = Shell::with_automation().await;
    let _exchange = exchange(&mut shell).await;
    let rows = shell
        .run(&[
            "automation",
            "check",
            "--account",
            "main",
            "--type",
            "margin_guard",
            "--rule",
            GUARD,
            "--json",
        ])
        .await
        .json();
    let position = rows["account"]["positions"][0]["position"]
        .as_str()
        .unwrap()
        .to_owned();
    let why = ["why", "--automation", &automation, "--position", &position];
    let said = shell.run(&why).await.ok().out;
    for part in [
        "Why it does not act: the price is 100,000, margin_used is 0.000000 against 0.7; the rule \
         fires at 93,457.98 or below: the price is 6.5 % away.",
        "ok   automation: it is enabled",
        "ok   position: isolated long of 1000 USD at 100,000",
        "?    arming: never armed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let nobody = uuid::Uuid::from_u128(5).to_string();
    let gone = [
        "why",
        "--automation",
        &automation,
        "--position",
        &nobody,
        "--json",
    ];
    let report = shell.run(&gone).await.json();
    let answer = report["answer"].as_str().unwrap();
    assert!(answer.ends_with("does not run"), "{answer}");
    shell
        .run(&["automation", "disable", &automation])
        .await
        .ok();
    let offline = [why.as_slice(), &["--offline"]].concat();
    let said = shell.run(&offline).await.ok().out;
    assert!(
        said.contains("Why it does not act: it is disabled"),
        "{said}"
    );
    assert!(
        said.contains("?    exchange: the account was not read: --offline"),
        "{said}"
    );
}

/// What `docs/automations.md` says of each type: its example can be obeyed, its table names every
/// field there is, and no other.
#[test]
fn the_documentation_names_every_field_of_every_automation() {
    use std::collections::BTreeSet;

    use crate::domain::rules::Rule;

    let page = include_str!("../../docs/automations.md");
    for kind in RuleKind::ALL {
        let heading = format!("\n## {kind}\n");
        let section = page.split(&heading).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let example = section.split("```json").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let config = serde_json::from_str(example).unwrap();
        assert!(Rule::parse(kind, &config).is_ok(), "{kind}: {config}");

        let errors = Rule::parse(kind, &json!({"?": 1})).unwrap_err();
        let unknown = errors.iter().find(|error| error.field == "?").unwrap();
        let known = unknown.allowed.split("known are ").nth(1).unwrap();
        let known: BTreeSet<_> = known.split(", ").collect();
        let table = section.split("| field |").nth(1).unwrap();
        let table = table.split("\n\n").next().unwrap();
        let cells = table
            .lines()
            .skip(2)
            .map(|row| row.split('|').nth(1).unwrap());
        let told: BTreeSet<_> = cells
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim().trim_matches('`'))
            .collect();
        assert_eq!(told, known, "{kind}");
    }
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
