//! What a test plays on: an exchange, a data folder, accounts with positions and guards.

#[path = "stage/windows.rs"]
mod windows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vigia::app;
use vigia::clock::Clock;
use vigia::config::{Environment, Settings};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AutomationId, UserId};
use vigia::domain::position::{Position, Side};
use vigia::domain::rules::RuleKind;
use vigia::domain::units::{Sats, Usd};
use vigia::exchange::{NewTrade, Rest};
use vigia::simulator::{AccountConfig, Control, Fault, Simulator};
use vigia::store::{NewAccount, NewAutomation, Store};

use crate::server::Server;

pub use windows::Windows;

/// The price at which every test begins, USD.
pub const START: f64 = 100_000.0;
pub const QUANTITY: Usd = Usd(10_000);
/// Share of the margin that is lost when the guards act.
pub const THRESHOLD: f64 = 0.7;
/// What a guard adds at once.
pub const ADDED: Sats = Sats(500_000);
/// Also where the service runs on a machine of its own.
const ARRIVED_WITHIN: Duration = Duration::from_secs(30);
const BALANCE_SATS: i64 = 100_000_000;
/// Whom all accounts belong to.
pub const USER: &str = "user-1";
/// The network of the simulator.
pub const NETWORK: &str = "sim";

pub struct Stage {
    pub control: Control,
    pub rest: Rest,
    pub clock: Clock,
    settings: Settings,
    folder: TempDir,
    /// The server that the store is on; `None` where it is a file.
    server: Option<Server>,
    // Stops when it is dropped.
    _simulator: Simulator,
}

/// The owner of an account, by the exchange's side.
pub struct Owner {
    pub name: String,
    pub credentials: Credentials,
}

/// What a guard does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    Add,
    Close,
}

impl Deed {
    /// The route of its request at the exchange.
    pub fn route(self) -> &'static str {
        match self {
            Self::Add => "/v3/futures/isolated/trade/add-margin",
            Self::Close => "/v3/futures/isolated/trade/close",
        }
    }

    fn config(self) -> Value {
        let mut config = json!({
            "metric": "margin_used", "margin_threshold": THRESHOLD, "cooldown_seconds": 0,
        });
        match self {
            Self::Add => {
                config["action"] = json!("add_margin");
                config["add_margin_amount"] = json!(ADDED);
            }
            Self::Close => config["action"] = json!("close_position"),
        }
        config
    }
}

impl Stage {
    pub async fn set() -> Self {
        Self::with(Windows::default()).await
    }

    /// With its store in a file, whatever this run of the tests wants.
    pub async fn in_a_file() -> Self {
        Self::on(None, Windows::default()).await
    }

    /// With its store where this run of the tests wants it.
    pub async fn with(windows: Windows) -> Self {
        Self::on(wanted_server(), windows).await
    }

    /// With its store on a server, or in a file.
    pub async fn on(server: Option<Server>, windows: Windows) -> Self {
        Self::configured(server, windows, "").await
    }

    /// With more sections in its configuration.
    pub async fn configured(server: Option<Server>, windows: Windows, more: &str) -> Self {
        // Fails where another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = windows.exchange();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let url = server.as_ref().map_or_else(String::new, Server::url);
        let mut text = windows.config(&simulator, &url);
        text += &format!("[vault]\nkey_file = \"{data}/master.key\"\n{more}");
        std::fs::write(folder.path().join("vigia.toml"), text).unwrap();
        let environment = |name: &str| (name == "VIGIA_DATA_DIR").then(|| data.clone());
        let path = folder.path().join("vigia.toml");
        let settings = Settings::load(Some(&path), &Environment(&environment)).unwrap();
        app::write_key_file(&settings.key_file()).unwrap();
        let clock = Clock::start();
        let stage = Self {
            control: simulator.control(),
            rest: app::rest_client(&settings, NETWORK, clock).unwrap(),
            clock,
            settings,
            folder,
            server,
            _simulator: simulator,
        };
        stage.store().await.close().await;
        stage
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("vigia.toml")
    }

    /// The server that the store is on.
    #[allow(dead_code, reason = "who strikes a server plays elsewhere")]
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("the store is on a server")
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn data_dir(&self) -> &Path {
        &self.settings.data_dir
    }

    pub fn database(&self) -> PathBuf {
        self.settings.data_dir.join("vigia.db")
    }

    /// The store, as another program would open it. To be closed before the service starts or
    /// dies, so that recovering the write-ahead log is the service's own work.
    pub async fn store(&self) -> Store {
        let vault = app::open_vault(&self.settings).unwrap();
        // However little patience the service is to have.
        let mut patient = self.settings.clone();
        patient.store.timeout_ms = patient.store.timeout_ms.max(Windows::default().store_ms);
        app::open_store(&patient, Some(vault)).await.unwrap()
    }

    /// An account at the exchange, with its owner.
    pub fn owner(&self, name: &str) -> Owner {
        self.owner_of(name, |config| config)
    }

    /// An account of this shape.
    pub fn owner_of(
        &self,
        name: &str,
        shape: impl FnOnce(AccountConfig) -> AccountConfig,
    ) -> Owner {
        let [key, secret, phrase] = key_of(name);
        self.control.add_account(shape(account_of(name)));
        Owner {
            name: name.to_owned(),
            credentials: Credentials::new(key, secret, phrase),
        }
    }

    pub async fn open_position(&self, owner: &Owner, leverage: i64) -> Position {
        let client_id = format!("{}-{}", owner.name, self.control.ledger_len());
        let trade = NewTrade::market(Side::Buy, QUANTITY, leverage as f64, client_id);
        let now = self.rest.clock().now();
        let opening = self.rest.open(&owner.credentials, &trade, now);
        opening.await.unwrap()
    }

    /// Puts an account under guard.
    pub async fn guard(&self, owner: &Owner, deed: Deed) {
        self.automate(owner, RuleKind::MarginGuard, deed.config(), true)
            .await;
    }

    /// Puts an account under a rule, which acts by itself (`live`) or by jobs alone.
    pub async fn automate(
        &self,
        owner: &Owner,
        kind: RuleKind,
        config: Value,
        live: bool,
    ) -> AutomationId {
        let store = self.store().await;
        let now = self.clock.utc();
        let account = store.add_account(new_account(owner), now).await.unwrap();
        let new = NewAutomation {
            account: account.id,
            kind,
            config,
            live,
            active: true,
        };
        let automation = store.add_automation(new, now).await.unwrap();
        store.close().await;
        automation.id
    }

    /// Takes accounts in that nothing guards.
    #[allow(dead_code, reason = "played with elsewhere")]
    pub async fn take_in(&self, owners: &[Owner]) {
        let store = self.store().await;
        for owner in owners {
            let adding = store.add_account(new_account(owner), self.clock.utc());
            adding.await.unwrap();
        }
        store.close().await;
    }

    /// An account with a 10x position under guard.
    pub async fn guarded(&self, name: &str, deed: Deed) -> (Owner, Position) {
        let owner = self.owner(name);
        let position = self.open_position(&owner, 10).await;
        self.guard(&owner, deed).await;
        (owner, position)
    }

    /// Lets the price fall to where a little more of the margin is lost than the guards allow.
    pub fn endanger(&self, position: &Position) {
        let price = price_at(position, position.margin, THRESHOLD + 0.05);
        self.control.set_price(price).unwrap();
    }

    /// Lets the position be closed by a request that has arrived, and is answered as the fault has it.
    #[allow(dead_code, reason = "played with elsewhere")]
    pub async fn closing(&self, position: &Position, fault: Fault) {
        let fault = fault.on_route(Deed::Close.route()).times(1);
        self.control.inject(fault).unwrap();
        self.endanger(position);
        self.request_arrived().await;
    }

    /// Waits until every fault that was injected has met its request.
    pub async fn request_arrived(&self) {
        self.until("the request arrives", ARRIVED_WITHIN, |control| {
            control.faults().is_empty()
        })
        .await;
    }

    /// Waits until something holds; it is looked at again and again.
    pub async fn until(&self, what: &str, within: Duration, holds: impl Fn(&Control) -> bool) {
        const BEAT: Duration = Duration::from_millis(1);
        let deadline = self.clock.mono() + within;
        while !holds(&self.control) {
            assert!(
                self.clock.mono() < deadline,
                "not within {within:?}: {what}; the ledger: {:#?}",
                self.control.ledger()
            );
            tokio::time::sleep(BEAT).await;
        }
    }
}

fn new_account(owner: &Owner) -> NewAccount {
    NewAccount {
        user_id: UserId::new(USER),
        name: owner.name.clone(),
        network: NETWORK.to_owned(),
        credentials: owner.credentials.clone(),
    }
}

/// What the exchange knows of an owner.
pub fn account_of(name: &str) -> AccountConfig {
    let [key, secret, phrase] = key_of(name);
    AccountConfig::new(&key, &secret, &phrase, BALANCE_SATS)
}

/// Key, secret and passphrase of an owner.
fn key_of(name: &str) -> [String; 3] {
    ["key", "secret", "phrase"].map(|part| format!("{part}-{name}"))
}

/// The server for a store, where this run of the tests wants one.
pub fn wanted_server() -> Option<Server> {
    match std::env::var("VIGIA_TEST_STORE").as_deref() {
        Ok("postgres") => Some(Server::start()),
        Ok("sqlite") | Err(_) => None,
        Ok(other) => panic!("VIGIA_TEST_STORE={other}: sqlite or postgres"),
    }
}

/// The price at which a long with this margin has lost a share of it.
pub fn price_at(position: &Position, margin: Sats, lost: f64) -> f64 {
    let notional = position.quantity.0 as f64 * 1e8;
    let price = 1.0 / (1.0 / position.price.usd() + lost * margin.0 as f64 / notional);
    (price * 2.0).floor() / 2.0
}
