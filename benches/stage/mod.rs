//! The stage of the benches: the real service and the simulator in one process, over real sockets,
//! with SQLite in a folder of its own. Windows are the service's own, except those that a bench names.
#![allow(dead_code)] // each bench uses a part of it

pub mod ears;
pub mod figures;
pub mod owners;

use std::fmt::Write;
use std::time::Duration;

use tempfile::TempDir;
use vigia::app::{self, App};
use vigia::clock::Clock;
use vigia::config::{Environment, Settings};
use vigia::exchange::Rest;
use vigia::simulator::{Control, Limits, Simulator, SimulatorConfig};

pub use ears::Ears;

/// The network of the simulator.
pub const NETWORK: &str = "sim";
/// The price at which positions are opened.
pub const CALM: f64 = 100_000.0;
/// The price at which the guards of [`owners`] fire for a long of 10x.
pub const DANGER: f64 = 93_000.0;
/// Whatever does not come within this does not work at all.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at. No figure depends on it.
const LOOK: Duration = Duration::from_millis(2);

/// A running service before a simulated exchange without limits.
pub struct Stage {
    pub app: App,
    pub control: Control,
    pub clock: Clock,
    /// The exchange as owners of accounts use it, not through the service.
    pub rest: Rest,
    /// What the service tells.
    pub ears: Ears,
    _simulator: Simulator,
    _folder: TempDir,
}

impl Stage {
    /// Starts exchange and service, with these values for keys `section.key` of the configuration;
    /// `prepare` has the exchange before the service does.
    pub async fn set(windows: &[(&str, i64)], prepare: impl FnOnce(&Control)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let simulator = Simulator::start_on_thread(SimulatorConfig {
            limits: Limits::off(),
            ..SimulatorConfig::default()
        })
        .expect("the simulator starts");
        prepare(&simulator.control());
        let file = folder.path().join("vigia.toml");
        std::fs::write(&file, configuration(&folder, &simulator, windows)).expect("a file");
        let settings = Settings::load(Some(&file), &Environment(&|_| None)).expect("settings");
        app::write_key_file(&settings.key_file()).expect("a key file");
        let clock = Clock::start();
        let rest = app::rest_client(&settings, NETWORK, clock).expect("a client");
        let app = App::start(&settings, false).await.expect("a service");
        Self {
            ears: Ears::on(&app),
            control: simulator.control(),
            app,
            clock,
            rest,
            _simulator: simulator,
            _folder: folder,
        }
    }

    /// Prints a price and waits until the service has taken it over.
    pub async fn price(&self, usd: f64) {
        self.control.set_price(usd).expect("a price");
        let network = &self.app.shared.networks[NETWORK];
        self.until("the price is known", || {
            let seen = network.price.seen(self.app.shared.clock.mono());
            seen.is_some_and(|seen| (seen.price.usd() - usd).abs() < 0.01)
        })
        .await;
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("missed: {what}"));
    }

    /// Stops the service and gives the exchange back.
    pub async fn end(self) {
        let left = self.app.stop().await.expect("the service stops");
        assert_eq!(left, 0, "executions were still in hand after the stop");
    }
}

fn configuration(folder: &TempDir, simulator: &Simulator, windows: &[(&str, i64)]) -> String {
    let data = folder.path().join("data");
    let mut text = format!("data_dir = {:?}\n", data.display().to_string());
    for (key, value) in windows {
        let _ = writeln!(text, "{key} = {value}");
    }
    let (api, stream) = (simulator.api_url(), simulator.stream_url());
    let _ = writeln!(text, "networks.{NETWORK}.api_url = {api:?}");
    let _ = writeln!(text, "networks.{NETWORK}.stream_url = {stream:?}");
    text
}

/// Runs a bench; whatever does not work at all ends the process with a failure.
pub fn run(bench: impl Future<Output = ()>) {
    // The service's own hook would tell a log that nobody reads.
    let usual = std::panic::take_hook();
    app::prepare_process();
    std::panic::set_hook(usual);
    actix_rt::System::new().block_on(bench);
}
