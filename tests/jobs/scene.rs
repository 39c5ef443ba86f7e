//! A stage whose service takes jobs: accounts, automations that act by jobs, producers of jobs.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use toml::Table;
use vigia::admin::{Access, StatusReport};
use vigia::app;
use vigia::config::{Environment, Settings};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AccountId, AutomationId, UserId};
use vigia::domain::position::Position;
use vigia::domain::rules::RuleKind;
use vigia::journal::{Execution, Filter, Journal};
use vigia::queue::{Entry, JobQueue, JobState, NewJob};
use vigia::simulator::{AccountConfig, LedgerEntry, LedgerKind, LedgerSource};
use vigia::store::{Epoch, NewAccount, NewAutomation, Store};

use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::stage::{Owner, Stage, Windows};
use crate::waiting::until;
use crate::watchman::{Watchman, run_to_end};

/// The owner of all accounts, in the words of the queue.
pub const USER: &str = "user-1";
/// The REST route of new isolated trades.
pub const TRADE: &str = "/v3/futures/isolated/trade";
/// The REST route of closes.
pub const CLOSE: &str = "/v3/futures/isolated/trade/close";
/// The network of the simulator.
const NETWORK: &str = "sim";
/// More than any test has.
const ALL: u64 = 100_000;

/// Where the jobs are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backend {
    Redis,
    Sqlite,
    Postgres,
}

pub struct Scene {
    pub stage: Stage,
    pub store: Store,
    /// The queue, reached directly, as by another program.
    pub queue: JobQueue,
    redis: Option<RedisServer>,
}

/// An account that the service serves.
pub struct Player {
    pub id: AccountId,
    pub owner: Owner,
}

impl Player {
    pub fn name(&self) -> &str {
        &self.owner.name
    }

    /// Its key at the exchange.
    pub fn key(&self) -> String {
        format!("key-{}", self.owner.name)
    }
}

impl Scene {
    /// Sets the stage; other values of the configuration are `("section.key", value)`.
    pub async fn on(backend: Backend, values: &[(&str, i64)]) -> Self {
        let redis = match backend {
            Backend::Redis => Some(RedisServer::durable().await),
            Backend::Sqlite | Backend::Postgres => None,
        };
        let server = (backend == Backend::Postgres).then(Server::start);
        let stage = Stage::on(server, Windows::default()).await;
        let path = stage.config_file();
        let mut table: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let mut put = |key: &str, value: toml::Value| {
            let (section, key) = key.split_once('.').unwrap();
            let section = table.entry(section).or_insert(Table::new().into());
            section
                .as_table_mut()
                .unwrap()
                .insert(key.to_owned(), value);
        };
        if let Some(redis) = &redis {
            put("queue.backend", "redis".into());
            put("queue.redis_url", redis.url().into());
        }
        for (key, value) in values {
            put(key, (*value).into());
        }
        std::fs::write(&path, table.to_string()).unwrap();
        let data = stage.data_dir().display().to_string();
        let environment = |name: &str| (name == "VIGIA_DATA_DIR").then(|| data.clone());
        let settings = Settings::load(Some(&path), &Environment(&environment)).unwrap();
        let store = stage.store().await;
        let queue = app::job_queue(&settings, &store, stage.clock).unwrap();
        Self {
            stage,
            store,
            queue,
            redis,
        }
    }

    pub fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("the jobs are in Redis")
    }

    pub fn redis_url(&self) -> String {
        self.redis.as_ref().expect("the jobs are in Redis").url()
    }

    /// An account with so many positions of 10x as are opened for it later: none yet.
    pub async fn player(&self, name: &str) -> Player {
        self.player_of(self.stage.owner(name)).await
    }

    /// An account with so many satoshis.
    pub async fn player_who_has(&self, balance_sats: i64, name: &str) -> Player {
        let rich = |config| AccountConfig {
            balance_sats,
            ..config
        };
        self.player_of(self.stage.owner_of(name, rich)).await
    }

    async fn player_of(&self, owner: Owner) -> Player {
        let name = owner.name.clone();
        let id = self.add_account(&name, owner.credentials.clone()).await;
        Player { id, owner }
    }

    /// An account and its position of 10x.
    pub async fn trader(&self, name: &str) -> (Player, Position) {
        let player = self.player(name).await;
        let position = self.stage.open_position(&player.owner, 10).await;
        (player, position)
    }

    pub async fn add_account(&self, name: &str, credentials: Credentials) -> AccountId {
        let new = NewAccount {
            user_id: UserId::new(USER),
            name: name.to_owned(),
            network: NETWORK.to_owned(),
            credentials,
        };
        let added = self.store.add_account(new, self.stage.clock.utc()).await;
        added.unwrap().id
    }

    pub async fn automation(
        &self,
        account: &AccountId,
        kind: RuleKind,
        config: Value,
        live: bool,
    ) -> AutomationId {
        let new = NewAutomation {
            account: account.clone(),
            kind,
            config,
            live,
            active: true,
        };
        let added = self.store.add_automation(new, self.stage.clock.utc()).await;
        added.unwrap().id
    }

    /// An automation that acts by jobs alone.
    pub async fn by_job(&self, player: &Player, kind: RuleKind, config: Value) -> AutomationId {
        self.automation(&player.id, kind, config, false).await
    }

    /// A service that runs and serves so many accounts.
    pub async fn start(&self, accounts: usize) -> Watchman {
        self.start_by(self.stage.run(), accounts).await
    }

    pub async fn start_by(&self, command: Command, accounts: usize) -> Watchman {
        let watchman = Watchman::of(command, self.stage.clock);
        until("accounts that are served", || async {
            let lines = watchman.lines();
            let live = lines.iter().filter(|line| line["to"] == "live");
            (live.count() >= accounts).then_some(())
        })
        .await;
        watchman
    }

    /// Asks for an automation to be run. Returns the job's id.
    pub async fn ask(&self, automation: &AutomationId) -> String {
        let data = json!({ "userId": USER, "automationId": automation });
        self.queue.add(job(data)).await.unwrap().id
    }

    /// The job when it has ended.
    pub async fn ended(&self, id: &str) -> Entry {
        until(&format!("end of job {id}"), || async {
            let entry = self.queue.show(id).await.ok()?;
            matches!(entry.state, JobState::Completed | JobState::Failed).then_some(())
        })
        .await;
        // Its parts are read one after the other; by now it changes no more.
        self.queue.show(id).await.unwrap()
    }

    /// The return value of a job that is to be completed.
    pub async fn told(&self, id: &str) -> Value {
        let entry = self.ended(id).await;
        assert_eq!(entry.state, JobState::Completed, "{entry:?}");
        entry.return_value.unwrap()
    }

    /// What a job for an automation comes to.
    pub async fn run(&self, automation: &AutomationId) -> Value {
        let id = self.ask(automation).await;
        self.told(&id).await
    }

    /// What the exchange applied to an account on request, of one kind.
    pub fn effects(&self, key: &str, kind: LedgerKind) -> Vec<LedgerEntry> {
        let mut ledger = self.stage.control.ledger();
        ledger.retain(|entry| {
            (&*entry.key, entry.kind, entry.source) == (key, kind, LedgerSource::Api)
        });
        ledger
    }

    /// All executions of an automation, the oldest first.
    pub async fn executions(&self, automation: &AutomationId) -> Vec<Execution> {
        let filter = Filter {
            automation: Some(automation.clone()),
            limit: ALL,
            ..Filter::default()
        };
        let journal = Journal::new(self.store.clone(), Epoch::NONE);
        let mut rows = journal.executions(&filter).await.unwrap().rows;
        rows.reverse();
        rows
    }

    /// What the service says of itself to its operator.
    pub async fn status(&self) -> StatusReport {
        let text = self.asked("/v1/status").await;
        serde_json::from_str(&text.1).unwrap()
    }

    /// Status and body of an answer of the service.
    pub async fn asked(&self, path: &str) -> (u16, String) {
        use secrecy::ExposeSecret;
        let access = Access::read(self.stage.data_dir()).expect("a service runs");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", access.address);
        let request = client.get(url).bearer_auth(access.token.expose_secret());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until the service has taken over a price.
    pub async fn price_seen(&self, usd: f64) {
        until(&format!("price {usd} in the service's status"), || async {
            let status = self.status().await;
            let seen = |price: vigia::domain::units::Price| (price.usd() - usd).abs() < 0.01;
            let mut accounts = status.accounts.iter();
            accounts
                .all(|one| one.price.is_some_and(seen))
                .then_some(())
        })
        .await;
    }

    /// What `vigia ARGUMENTS` prints.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let output = run_to_end(&mut self.stage.command(arguments)).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A job as `vigia job add` would make it, attempted once.
pub fn job(data: Value) -> NewJob {
    NewJob {
        id: None,
        data,
        priority: 8,
        delay: Duration::ZERO,
        attempts: 1,
        backoff: None,
        keep_completed: None,
        keep_failed: None,
    }
}

/// An entry at the market, at once, as often as it is asked for.
pub fn buying() -> Value {
    json!({ "side": "b", "quantity": 1, "max_entries": 1000 })
}

/// An entry whose price is never there.
pub fn waiting() -> Value {
    json!({ "side": "b", "quantity": 1, "trigger_price": 1000 })
}

/// A guard that closes once 70 % of the margin are lost.
pub fn closing() -> Value {
    json!({ "action": "close_position", "metric": "margin_used", "margin_threshold": 0.7 })
}

/// A rule that moves the stop-loss once a long of 10x that was opened at 100,000 has lost a tenth of
/// its margin.
pub fn moving() -> Value {
    json!({
        "action": "update_sl", "new_stoploss": 92_000, "trigger_pnl_percentage": 10,
        "pnl_basis": "margin", "direction": "loss",
    })
}

/// Many times more in the long mode.
pub fn times(usual: usize, long: usize) -> usize {
    match std::env::var_os("VIGIA_LONG") {
        Some(_) => long,
        None => usual,
    }
}
