//! The service on a machine, as its operator has installed it.

use std::path::Path;

use serde_json::Value;

use super::machine::{Machine, SOON};
use crate::stage::Stage;
use crate::stopwatch::Stopwatch;

pub const PROGRAM: &str = "/usr/local/bin/vigia";
pub const UNIT: &str = "/etc/systemd/system/vigia.service";
pub const CONFIG: &str = "/etc/vigia/vigia.toml";
pub const ENVIRONMENT: &str = "/etc/vigia/environment";
pub const KEY: &str = "/etc/vigia/master.key";
pub const DATA: &str = "/var/lib/vigia";

/// A file of the repository's.
pub fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).unwrap()
}

/// What the service on a machine is configured with: the stage's, where the unit says nothing else.
pub fn config(stage: &Stage) -> String {
    let text = std::fs::read_to_string(stage.config_file()).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    table.remove("vault");
    let networks = table["networks"].as_table_mut().unwrap();
    let simulator = networks[crate::stage::NETWORK].clone();
    networks.insert("mainnet".to_owned(), simulator);
    table.to_string()
}

impl Machine {
    /// One with the shipped unit as it is shipped, and the stage's accounts. Nothing is started yet.
    pub fn serving(stage: &Stage) -> Option<Self> {
        let machine = Self::boot()?;
        machine.copy(Path::new(env!("CARGO_BIN_EXE_vigia")), PROGRAM, 0o755);
        machine.write(UNIT, 0o644, shipped("config/systemd/vigia.service"));
        machine.write(CONFIG, 0o644, config(stage));
        machine.copy(&stage.data_dir().join("master.key"), KEY, 0o400);
        let database = format!("{DATA}/vigia.db");
        machine.copy(&stage.database(), &database, 0o600);
        machine.run(&format!(
            "useradd --system --no-create-home --shell /usr/sbin/nologin vigia
            chown -R vigia: {DATA} && chmod 700 {DATA} && systemctl daemon-reload"
        ));
        Some(machine)
    }

    /// A property that systemd shows of the unit.
    pub fn shows(&self, property: &str) -> String {
        let told = self.run(&format!(
            "systemctl show --property {property} --value vigia"
        ));
        told.trim().to_owned()
    }

    /// Waits until the property has a value.
    #[track_caller]
    pub fn until_shows(&self, property: &str, value: &str) {
        let script = format!("systemctl show --property {property} --value vigia");
        self.until(&script, |told| told == value);
    }

    /// What the service has logged: its events, and as texts what is none.
    pub fn journal(&self) -> Vec<Value> {
        let told = self.run("journalctl --no-pager --unit vigia --output cat");
        let parsed = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()))
        };
        told.lines().map(parsed).collect()
    }

    pub fn count(&self, event: &str) -> usize {
        let journal = self.journal();
        journal.iter().filter(|line| line["event"] == event).count()
    }

    /// Waits until so many events of this name stand in the journal.
    #[track_caller]
    pub fn until_logged(&self, event: &str, times: usize) {
        let waited = Stopwatch::start();
        while self.count(event) < times {
            let journal = || self.run("journalctl --no-pager | tail -80");
            assert!(waited.elapsed() < SOON, "{event}\n{}", journal());
        }
    }
}
