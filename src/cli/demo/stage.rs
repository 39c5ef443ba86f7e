//! What the demo plays on: the simulator, a data folder, accounts with open positions, automations.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::super::Global;
use super::super::output::note;
use super::Args;
use super::cast::{CAST, Part};
use super::owners::{self, Owner};
use crate::actors::Shared;
use crate::app;
use crate::clock::Clock;
use crate::config::{NetworkSettings, Settings};
use crate::domain::connection::{Health, Transport};
use crate::domain::position::MarginMode;
use crate::simulator::{AccountConfig, Cadence, Limits, Simulator, SimulatorConfig, Speed, Tape};

/// The name of the simulator's network in the demo's settings.
pub(super) const NETWORK: &str = "demo";
const BALANCE_SATS: i64 = 200_000_000;
/// How long a tape takes where no speed is asked for.
const WALK_LASTS: f64 = 20.0;
const FILE_LASTS: f64 = 40.0;
const A_WALK_IN_SECONDS: f64 = 72_000.0;
/// How long the accounts may take to be guarded.
const GUARDED_WITHIN: Duration = Duration::from_secs(30);
/// How long sockets may take to open where the exchange has room for them.
const SOCKETS_WITHIN: Duration = Duration::from_secs(3);

/// The demo's stage.
pub(super) struct Stage {
    pub settings: Settings,
    pub simulator: Simulator,
    pub owners: Vec<Owner>,
    automations: usize,
    /// Entries of the ledger that are the owners' own.
    pub owners_entries: usize,
    /// A folder of the demo's own, taken away at the end.
    own_folder: Option<PathBuf>,
}

impl Stage {
    pub async fn set(global: &Global, args: &Args) -> Result<Self> {
        let tape = match &args.prices {
            Some(path) => Tape::from_csv(path)?,
            None => Tape::falling(args.seed),
        };
        let speed = args.speed.unwrap_or_else(|| fitting_speed(&tape));
        let owners = owners(args.accounts);
        let simulator = Simulator::start_on_thread(SimulatorConfig {
            accounts: owners.iter().map(|owner| owner.account.clone()).collect(),
            tape,
            speed,
            cadence: Cadence::EveryTick,
            start_paused: true,
            limits: Limits::exchange(),
            seed: args.seed,
            ..SimulatorConfig::default()
        })?;
        let mut settings = global.settings()?;
        let own_folder = choose_folder(&mut settings, global)?;
        let addresses = NetworkSettings {
            api_url: simulator.api_url(),
            stream_url: simulator.stream_url(),
            ca_file: PathBuf::new(),
        };
        settings.networks.insert(NETWORK.to_owned(), addresses);
        let mut stage = Self {
            settings,
            simulator,
            owners,
            automations: 0,
            owners_entries: 0,
            own_folder,
        };
        stage.automations = stage.populate(args.without_guards).await?;
        stage.owners_entries = stage.simulator.control().ledger().len();
        Ok(stage)
    }

    async fn populate(&self, without_automations: bool) -> Result<usize> {
        let clock = Clock::start();
        let rest = app::rest_client(&self.settings, NETWORK, clock)?;
        app::write_key_file(&self.settings.key_file())?;
        let vault = app::open_vault(&self.settings)?;
        let store = app::open_store(&self.settings, Some(vault)).await?;
        let price = self.simulator.control().price();
        let hands = (&rest, &store, clock);
        let populated = owners::populate(&self.owners, hands, price, without_automations).await;
        store.close().await;
        populated
    }

    /// Waits until every account is live and every automation armed; and a moment longer for the
    /// sockets.
    pub async fn wait_until_guarded(&self, shared: &Shared) -> Result<()> {
        let clock = shared.clock;
        let (started, mut events) = (clock.mono(), shared.events.listen());
        let wanted = self.owners.len();
        loop {
            let accounts = shared.accounts.load_full();
            let live = accounts
                .values()
                .filter(|account| account.view.load().health == Health::Live);
            let over_websocket = accounts
                .values()
                .filter(|account| account.view.load().transport == Transport::Websocket);
            let armed = armed(shared).await?;
            if live.count() == wanted && armed >= self.automations {
                let patient = clock.mono() < started + SOCKETS_WITHIN;
                if over_websocket.count() == wanted || !patient {
                    return Ok(());
                }
            }
            if clock.mono() > started + GUARDED_WITHIN {
                bail!(
                    "the accounts were not guarded in {} s",
                    GUARDED_WITHIN.as_secs()
                );
            }
            // Any event may be the one waited for.
            let _ = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
        }
    }

    /// Takes the demo's own folder away.
    pub fn clear(self) {
        if let Some(folder) = &self.own_folder
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            note(format_args!(
                "the folder {} is left behind: {error}",
                folder.display()
            ));
        }
    }
}

/// How many automations stand armed in the store: each is for one position, or for the market.
async fn armed(shared: &Shared) -> Result<usize> {
    let mut armed = 0;
    for automation in shared.store.automations(None).await?.rows {
        armed += shared
            .journal
            .armings(&automation.id, automation.rule_version)
            .await?
            .len();
    }
    Ok(armed)
}

/// So many owners, with new secrets. Their keys are the names of the accounts.
fn owners(accounts: u32) -> Vec<Owner> {
    let secret = || uuid::Uuid::new_v4().simple().to_string();
    let owner = |(number, (part, leverage)): (u32, _)| {
        let key = match Part::mode(part) {
            MarginMode::Cross => format!("demo-{number}-{leverage}x-cross"),
            MarginMode::Isolated => format!("demo-{number}-{leverage}x"),
        };
        Owner {
            account: AccountConfig::new(&key, &secret(), &secret(), BALANCE_SATS),
            part,
            leverage,
        }
    };
    (1..=accounts)
        .zip(CAST.into_iter().cycle())
        .map(owner)
        .collect()
}

/// A folder that is asked for is kept, and must not hold an earlier run; else one of our own.
fn choose_folder(settings: &mut Settings, global: &Global) -> Result<Option<PathBuf>> {
    settings.store.url = String::new();
    settings.vault.key_file = PathBuf::new();
    match &global.data_dir {
        Some(folder) => {
            for file in ["vigia.db", "master.key"] {
                if folder.join(file).exists() {
                    bail!(
                        "{} holds {file} of an earlier run: give an empty folder with --data-dir",
                        folder.display()
                    );
                }
            }
            Ok(None)
        }
        None => {
            let name = format!("vigia-demo-{}", uuid::Uuid::new_v4().simple());
            settings.data_dir = std::env::temp_dir().join(name);
            Ok(Some(settings.data_dir.clone()))
        }
    }
}

fn fitting_speed(tape: &Tape) -> Speed {
    match tape {
        Tape::Candles(candles) => {
            let first = candles.first().map_or(0, |candle| candle.time);
            let last = candles.last().map_or(0, |candle| candle.time);
            let seconds = (last - first) as f64 / 1000.0 + 60.0;
            Speed::Times((seconds / FILE_LASTS).max(1.0))
        }
        _ => Speed::Times(A_WALK_IN_SECONDS / WALK_LASTS),
    }
}
