//! The stage: many accounts, an exchange that enforces its limits, the service in this process.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use vigia::actors::{Account, View};
use vigia::app::{self, App};
use vigia::clock::Clock;
use vigia::config::{Environment, Settings};
use vigia::domain::connection::{Health, Transport};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AccountId, UserId};
use vigia::domain::position::{Position, Side};
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Usd;
use vigia::exchange::{NewTrade, Rest};
use vigia::simulator::{AccountConfig, Control, Limits, Simulator, SimulatorConfig, Violations};
use vigia::store::{NewAccount, NewAutomation, Store};
use vigia::telemetry::Event;

/// The network of the simulator.
pub const NETWORK: &str = "sim";
/// The price at which positions are opened.
pub const CALM: f64 = 100_000.0;
/// Enough for everything.
const RICH: i64 = 2_000_000_000;
const LOOK: Duration = Duration::from_millis(5);

/// The owner of an account.
#[derive(Clone)]
pub struct Owner {
    pub name: String,
    pub credentials: Credentials,
    pub id: AccountId,
}

pub struct Stage {
    app: Option<App>,
    _simulator: Simulator,
    pub control: Control,
    pub settings: Settings,
    pub clock: Clock,
    pub rest: Rest,
    /// Accounts and automations are written before the service starts.
    pub store: Option<Store>,
    events: Option<Receiver<Event>>,
    folder: TempDir,
}

impl Stage {
    /// An exchange with these limits, and a configuration.
    pub async fn set(limits: Limits, config: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let simulator = Simulator::start_on_thread(SimulatorConfig {
            limits,
            ..SimulatorConfig::default()
        })
        .unwrap();
        let text = format!(
            "data_dir = \"{}\"\n{config}\n[networks.{NETWORK}]\napi_url = \"{}\"\nstream_url = \"{}\"\n",
            folder.path().join("data").display(),
            simulator.api_url(),
            simulator.stream_url(),
        );
        let file = folder.path().join("vigia.toml");
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(Some(&file), &Environment(&|_| None)).unwrap();
        app::write_key_file(&settings.key_file()).unwrap();
        let vault = app::open_vault(&settings).unwrap();
        let clock = Clock::start();
        Self {
            app: None,
            control: simulator.control(),
            _simulator: simulator,
            rest: app::rest_client(&settings, NETWORK, clock).unwrap(),
            store: Some(app::open_store(&settings, Some(vault)).await.unwrap()),
            settings,
            clock,
            events: None,
            folder,
        }
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("vigia.toml")
    }

    /// An account at the exchange and in the store, served when the service starts.
    pub async fn owner(&self, name: &str) -> Owner {
        let config = AccountConfig::new(name, "secret", "phrase", RICH);
        self.control.add_account(config);
        let credentials = Credentials::new(name, "secret", "phrase");
        let new = NewAccount {
            user_id: UserId::new("owner"),
            name: name.to_owned(),
            network: NETWORK.to_owned(),
            credentials: credentials.clone(),
        };
        let store = self.store.as_ref().expect("before the start");
        let id = store.add_account(new, self.clock.utc()).await.unwrap().id;
        Owner {
            name: name.to_owned(),
            credentials,
            id,
        }
    }

    /// The owner opens a long.
    pub async fn open(&self, owner: &Owner, quantity: i64, leverage: f64) -> Position {
        let id = uuid::Uuid::new_v4().to_string();
        let trade = NewTrade::market(Side::Buy, Usd(quantity), leverage, id);
        let now = self.rest.clock().now();
        let opening = self.rest.open(&owner.credentials, &trade, now);
        opening.await.unwrap()
    }

    /// An automation that acts by itself.
    pub async fn automation(&self, owner: &Owner, kind: RuleKind, config: Value) {
        let new = NewAutomation {
            account: owner.id.clone(),
            kind,
            config,
            live: true,
            active: true,
        };
        let running = self.app.as_ref().map(|app| &app.shared.store);
        let store = self.store.as_ref().or(running).unwrap();
        store.add_automation(new, self.clock.utc()).await.unwrap();
    }

    /// Gives the store to the service, and starts it.
    pub async fn start(&mut self) {
        self.close_store().await;
        let app = App::start(&self.settings, false).await.unwrap();
        self.events = Some(app.shared.events.listen());
        self.app = Some(app);
    }

    pub async fn close_store(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().expect("it runs")
    }

    pub fn accounts(&self) -> Vec<Arc<Account>> {
        let accounts = self.app().shared.accounts.load();
        accounts.values().cloned().collect()
    }

    pub fn view(&self, owner: &Owner) -> Arc<View> {
        let accounts = self.app().shared.accounts.load();
        accounts[&owner.id].view.load_full()
    }

    /// How many accounts are live.
    pub fn live(&self) -> usize {
        let accounts = self.accounts();
        let live = accounts
            .iter()
            .filter(|account| account.view.load().health == Health::Live);
        live.count()
    }

    /// How many accounts are served over their sockets.
    pub fn over_sockets(&self) -> usize {
        let accounts = self.accounts();
        let over = accounts
            .iter()
            .filter(|account| account.view.load().transport == Transport::Websocket);
        over.count()
    }

    /// The keys that are logged in on a socket at the exchange.
    pub fn logged_in(&self) -> HashSet<String> {
        let sockets = self.control.sockets().into_iter();
        sockets.filter_map(|socket| socket.key).collect()
    }

    /// What has happened since the last look.
    pub fn heard(&mut self) -> Vec<Event> {
        let mut heard = vec![];
        loop {
            match self.events.as_mut().expect("it runs").try_recv() {
                Ok(event) => heard.push(event),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return heard,
                Err(TryRecvError::Lagged(missed)) => panic!("{missed} events were missed"),
            }
        }
    }

    /// Lets the exchange's second pass: what owners asked for themselves counts for their keys no more.
    pub async fn owners_have_rested(&self) {
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }

    /// Waits for a condition, and says how long that took.
    pub async fn until(
        &self,
        what: &str,
        patience: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Duration {
        let began = self.clock.mono();
        while !condition() {
            let waited = self.clock.mono() - began;
            assert!(waited < patience, "missed within {patience:?}: {what}");
            tokio::time::sleep(LOOK).await;
        }
        self.clock.mono() - began
    }

    /// Nothing of ours was one too many.
    pub fn no_violation(&self) {
        assert_eq!(self.control.violations(), Violations::default());
        assert_eq!(self.control.requests().too_many(), 0, "answers with 429");
    }

    pub async fn stop(&mut self) {
        let left = self.app.take().expect("it runs").stop().await.unwrap();
        assert_eq!(left, 0, "executions were still in hand after the stop");
    }
}

/// Whether the long ones are wanted.
pub fn long() -> bool {
    std::env::var_os("VIGIA_LONG").is_some()
}
