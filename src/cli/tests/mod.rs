//! Commands as they are typed, on a real database.

mod accounts;
mod automations;
mod data_folder;
mod executions;
mod kill_switch;
mod reasons;
mod rules;
mod usage;

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;

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
use crate::domain::execution::{Action, Decision};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::domain::position::Side;
use crate::domain::rules::{Limits, RuleKind};
use crate::domain::units::{Price, Sats, Usd};
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

/// A command about a rule of the account `main`.
fn of_main<'a>(verb: &'a str, kind: &'a str, rule: &'a str) -> [&'a str; 8] {
    [
        "automation",
        verb,
        "--account",
        "main",
        "--type",
        kind,
        "--rule",
        rule,
    ]
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
