//! How a stage is set.

use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use toml::{Table, Value};
use vigia::app::{self, App};
use vigia::clock::Clock;
use vigia::config::{Environment, Settings};
use vigia::domain::credentials::Credentials;
use vigia::simulator::{Cadence, Fault, Limits, ProtocolWindows, Simulator, SimulatorConfig};

use super::{NETWORK, Stage};

/// The windows of the protocol, about 1:20; those of the price are real.
const WINDOWS: [(&str, i64); 11] = [
    ("limits.second_ms", 55),
    ("limits.logins_per_minute", 1000),
    ("limits.minute_ms", 3000),
    ("connection.read_far_ms", 1000),
    ("connection.refused_pause_ms", 15_000),
    ("execution.request_validity_ms", 1500),
    ("execution.proof_safety_ms", 500),
    ("execution.between_readings_ms", 100),
    ("supervision.first_delay_ms", 20),
    ("supervision.longest_delay_ms", 1500),
    ("supervision.refresh_ms", 50),
];

/// Failpoints without a key are the whole process's. A story that uses one plays alone.
static PLAYING: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);
static PREPARED: Once = Once::new();

#[allow(dead_code)] // held, never read
pub(super) enum Turn {
    Beside(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

/// Given the exchange's addresses, of REST and stream, answers those that the service is to use.
type Front = Box<dyn FnOnce(String, String) -> (String, String)>;

/// What is special about a stage.
pub struct Script {
    windows: Vec<(&'static str, i64)>,
    limits: Limits,
    cadence: Cadence,
    dry_run: bool,
    alone: bool,
    skew_ms: i64,
    front: Front,
}

impl Script {
    pub fn new() -> Self {
        Self {
            windows: WINDOWS.to_vec(),
            limits: Limits::off(),
            cadence: Cadence::default(),
            dry_run: false,
            alone: false,
            skew_ms: 0,
            front: Box::new(|api, stream| (api, stream)),
        }
    }

    /// Another value for a key of the configuration, `section.key`.
    pub fn with(mut self, key: &'static str, value: i64) -> Self {
        self.windows.push((key, value));
        self
    }

    /// The exchange's own limits and seconds of a second's length.
    pub fn real_limits(mut self) -> Self {
        self.limits = Limits::exchange();
        self.with("limits.second_ms", 1100)
            .with("limits.logins_per_minute", 20)
            .with("limits.minute_ms", 60_000)
    }

    /// The exchange has these limits.
    pub fn under(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Each price is pushed, not only the newest ten times a second.
    pub fn every_tick(mut self) -> Self {
        self.cadence = Cadence::EveryTick;
        self
    }

    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// No other story of this process plays meanwhile.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The exchange's clock is so far ahead of this machine's, from the start.
    pub fn skewed(mut self, milliseconds: i64) -> Self {
        self.skew_ms = milliseconds;
        self
    }

    /// Between service and exchange stands something.
    pub fn behind(
        mut self,
        front: impl FnOnce(String, String) -> (String, String) + 'static,
    ) -> Self {
        self.front = Box::new(front);
        self
    }

    /// Starts exchange and service.
    pub async fn play(self) -> Stage {
        let playing = Arc::clone(&PLAYING);
        let turn = if self.alone {
            Turn::Alone(playing.write_owned().await)
        } else {
            Turn::Beside(playing.read_owned().await)
        };
        PREPARED.call_once(prepare);
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::new();
        for (key, value) in &self.windows {
            put(&mut table, key, Value::Integer(*value));
        }
        let validity = table["execution"]["request_validity_ms"].as_integer();
        let simulator = Simulator::start_on_thread(SimulatorConfig {
            limits: self.limits,
            cadence: self.cadence,
            protocol: ProtocolWindows {
                rest_timestamp: Duration::from_millis(validity.unwrap().unsigned_abs()),
                ..ProtocolWindows::default()
            },
            ..SimulatorConfig::default()
        })
        .unwrap();
        if self.skew_ms != 0 {
            let offset_ms = self.skew_ms;
            let skew = Fault::ClockSkew { offset_ms };
            simulator.control().inject(skew).unwrap();
        }
        let (api, stream) = (self.front)(simulator.api_url(), simulator.stream_url());
        let network = |part: &str| format!("networks.{NETWORK}.{part}");
        let data = folder.path().join("data").display().to_string();
        put(&mut table, "data_dir", Value::String(data));
        put(&mut table, &network("api_url"), Value::String(api));
        put(&mut table, &network("stream_url"), Value::String(stream));
        let file = folder.path().join("vigia.toml");
        std::fs::write(&file, table.to_string()).unwrap();
        let settings = Settings::load(Some(&file), &Environment(&|_| None)).unwrap();
        app::write_key_file(&settings.key_file()).unwrap();
        let app = App::start(&settings, self.dry_run).await.unwrap();
        let clock = Clock::start();
        let rest = app::rest_client(&settings, NETWORK, clock).unwrap();
        if self.skew_ms != 0 {
            // A refusal is dated, too: it sets the clock.
            let nobody = Credentials::new("nobody", "", "");
            rest.running(&nobody).await.unwrap_err();
        }
        Stage {
            events: app.shared.events.listen(),
            app: Some(app),
            control: simulator.control(),
            _simulator: simulator,
            rest,
            settings,
            clock,
            dry_run: self.dry_run,
            seen: vec![],
            mark: 0,
            traders: vec![],
            by_hand: std::collections::HashMap::new(),
            _folder: folder,
            _turn: turn,
        }
    }
}

/// The service's own hook would send what a story's assertion says to a log that nobody reads.
fn prepare() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if !text.starts_with("failpoint") {
            usual(panic);
        }
    }));
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            put(section.as_table_mut().unwrap(), rest, value);
        }
    }
}
