//! The configuration: read once, unknown keys refused, every error with the key it is about.
//!
//! `config/default.toml` holds and explains all keys; a file given with `--config` is laid over it,
//! then the environment.

mod files;
mod layers;
mod notify;
mod queue;
mod sections;
mod tuning;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::exchange::Network;
use crate::store::LeaseTerms;

use layers::{lay_over, longer_than, parse, set};

use sections::{
    ConnectionSettings, ExecutionSettings, HealthSettings, JournalSettings, LimitSettings,
    MetricsSettings, PriceSettings, StopSettings, SupervisionSettings,
};

pub use notify::{Hidden, NoticeTuning, NotifySettings, ProtectionSettings};
pub use queue::{QueueBackend, QueueSettings};
pub use sections::{AdminSettings, LogSettings, NetworkSettings, StoreSettings, VaultSettings};
pub use tuning::Tuning;

/// The master key's file, in the data folder or among a service manager's credentials.
const KEY_FILE: &str = "master.key";
/// Names the file with the password that the address of the database does without.
const DATABASE_PASSWORD_FILE: &str = "DATABASE_PASSWORD_FILE";
const DEFAULTS: &str = include_str!("../config/default.toml");

/// A file of intents of this size holds a handful, in KiB.
const LEAST_INTENTS_KIB: u64 = 64;
/// Some parts look every second: in less than two they cannot be seen to get on.
const LEAST_PROGRESS_MS: u64 = 2_000;
/// Whoever waits for longer has mistaken the unit, in milliseconds: a year.
const LONGEST_MS: i64 = 366 * 24 * 3600 * 1000;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path}: {error}; give another file with --config")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no TOML.
    #[error("configuration {path}: {error}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and what.
        error: String,
    },
    /// A key is unknown or its value impossible.
    #[error(
        "configuration {path}, key {key}: {problem}; all keys are explained in config/default.toml"
    )]
    Key {
        /// The file, or the environment variable.
        path: String,
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each key is explained in config/default.toml
pub struct Settings {
    pub data_dir: PathBuf,
    pub store: StoreSettings,
    journal: JournalSettings,
    pub ownership: LeaseTerms,
    pub vault: VaultSettings,
    pub networks: BTreeMap<String, NetworkSettings>,
    limits: LimitSettings,
    connection: ConnectionSettings,
    price: PriceSettings,
    execution: ExecutionSettings,
    protection: ProtectionSettings,
    pub notify: NotifySettings,
    pub queue: QueueSettings,
    supervision: SupervisionSettings,
    health: HealthSettings,
    metrics: MetricsSettings,
    stop: StopSettings,
    pub admin: AdminSettings,
    pub log: LogSettings,
}

/// Where values come from besides the file.
pub struct Environment<'a>(pub &'a dyn Fn(&str) -> Option<String>);

/// The process's own environment.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Environment variables and the keys they replace.
const FROM_ENVIRONMENT: [(&str, &[&str]); 9] = [
    ("VIGIA_DATA_DIR", &["data_dir"]),
    ("DATABASE_URL", &["store", "url"]),
    ("VIGIA_QUEUE_BACKEND", &["queue", "backend"]),
    ("REDIS_URL", &["queue", "redis_url"]),
    ("VIGIA_KEY_FILE", &["vault", "key_file"]),
    ("VIGIA_WEBHOOK_URL", &["notify", "url"]),
    ("LN_MARKETS_API_URL", &["networks", "mainnet", "api_url"]),
    (
        "LN_MARKETS_STREAM_URL",
        &["networks", "mainnet", "stream_url"],
    ),
    ("LN_MARKETS_CA_FILE", &["networks", "mainnet", "ca_file"]),
];

impl Settings {
    /// Reads the defaults, lays a file over them, then the environment.
    ///
    /// # Errors
    /// The file, key and value that cannot be used.
    pub fn load(path: Option<&Path>, environment: &Environment<'_>) -> Result<Self, ConfigError> {
        let mut table = parse("config/default.toml", DEFAULTS)?;
        let mut source = "config/default.toml".to_owned();
        if let Some(path) = path {
            source = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
                path: source.clone(),
                error,
            })?;
            lay_over(&mut table, parse(&source, &text)?);
        }
        for (name, keys) in FROM_ENVIRONMENT {
            if let Some(value) = files::value(name, &keys.join("."), environment)? {
                set(&mut table, keys, value);
            }
        }
        if let Some(key) = longer_than(&table, LONGEST_MS) {
            let problem = format!("it must be {LONGEST_MS} at most: a year, in milliseconds");
            return Err(ConfigError::Key {
                path: source,
                key,
                problem,
            });
        }
        let handed_over = (environment.0)("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let mut settings: Self = serde_path_to_error::deserialize(table).map_err(|error| {
            let key = error.path().to_string();
            let problem = error.into_inner().to_string().trim().to_owned();
            ConfigError::Key {
                path: source.clone(),
                key,
                problem,
            }
        })?;
        if let Some(password) = files::content(DATABASE_PASSWORD_FILE, "store.url", environment)? {
            let url = files::with_password(&settings.store.url, &password);
            settings.store.url = url.map_err(|problem| ConfigError::Key {
                path: DATABASE_PASSWORD_FILE.to_owned(),
                key: "store.url".to_owned(),
                problem,
            })?;
        }
        settings.check(&source)?;
        let handed_over = handed_over.map(|folder| folder.join(KEY_FILE));
        if let (true, Some(file)) = (settings.vault.key_file.as_os_str().is_empty(), handed_over)
            && file.exists()
        {
            settings.vault.key_file = file;
        }
        Ok(settings)
    }

    fn check(&self, source: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: String| ConfigError::Key {
            path: source.to_owned(),
            key: key.to_owned(),
            problem,
        };
        for name in self.networks.keys() {
            self.network(name).map_err(|error| {
                refuse(
                    &format!("networks.{name}.{}", error.field),
                    error.to_string(),
                )
            })?;
        }
        let over_zero = [
            (
                "limits.requests_per_second",
                self.limits.requests_per_second as u64,
            ),
            (
                "limits.public_requests_per_second",
                self.limits.public_requests_per_second as u64,
            ),
            ("limits.second_ms", self.limits.second_ms),
            ("limits.minute_ms", self.limits.minute_ms),
            ("limits.hour_ms", self.limits.hour_ms),
            (
                "connection.reconnect_first_ms",
                self.connection.reconnect_first_ms,
            ),
            ("connection.read_near_ms", self.connection.read_near_ms),
            ("connection.read_far_ms", self.connection.read_far_ms),
            ("connection.stuck_ms", self.connection.stuck_ms),
            ("connection.ping_period_ms", self.connection.ping_period_ms),
            (
                "connection.ping_deadline_ms",
                self.connection.ping_deadline_ms,
            ),
            ("price.ticker_period_ms", self.price.ticker_period_ms),
            ("price.blind_ms", self.price.blind_ms),
            ("execution.live", self.execution.live as u64),
            ("execution.stuck_ms", self.execution.stuck_ms),
            ("execution.attempts", u64::from(self.execution.attempts)),
            ("supervision.refresh_ms", self.supervision.refresh_ms),
            ("supervision.restart_ms", self.supervision.restart_ms),
            ("health.period_ms", self.health.period_ms),
            ("health.full_ms", self.health.full_ms),
            ("store.timeout_ms", self.store.timeout_ms),
        ];
        for (key, value) in over_zero.into_iter().chain(self.notify.over_zero()) {
            if value == 0 {
                return Err(refuse(key, "it must be over zero".to_owned()));
            }
        }
        let at_least = [
            (
                "journal.intents_kib",
                self.journal.intents_kib,
                LEAST_INTENTS_KIB,
            ),
            (
                "health.progress_ms",
                self.health.progress_ms,
                LEAST_PROGRESS_MS,
            ),
        ];
        for (key, value, least) in at_least {
            if value < least {
                return Err(refuse(key, format!("it must be {least} at least")));
            }
        }
        if let Some(problem) = self.ownership.problem() {
            return Err(refuse("ownership.expire_ms", problem.to_owned()));
        }
        if let Some((key, problem)) = self.queue.wrong() {
            return Err(refuse(key, problem));
        }
        if self.limits.kept_for_commands >= self.limits.requests_per_second {
            let problem = "it must be under limits.requests_per_second, or nothing is ever read";
            return Err(refuse("limits.kept_for_commands", problem.to_owned()));
        }
        Ok(())
    }

    /// A network by name.
    ///
    /// # Errors
    /// An address that cannot be one, or authorities that cannot be read; an unknown network has
    /// neither.
    pub fn network(&self, name: &str) -> Result<Network, crate::exchange::NetworkError> {
        let empty = NetworkSettings {
            api_url: String::new(),
            stream_url: String::new(),
            ca_file: PathBuf::new(),
        };
        let addresses = self.networks.get(name).unwrap_or(&empty);
        let network = Network::new(name, &addresses.api_url, &addresses.stream_url)?;
        if addresses.ca_file.as_os_str().is_empty() {
            return Ok(network);
        }
        network.trusting(&addresses.ca_file)
    }

    /// Addresses of this machine to reach the exchange from; none: the system chooses.
    pub fn egress(&self) -> &[IpAddr] {
        &self.limits.egress
    }

    /// The database: the one configured, or the one in the data folder.
    pub fn database_url(&self) -> String {
        if self.store.url.is_empty() {
            format!(
                "sqlite://{}?mode=rwc",
                self.data_dir.join("vigia.db").display()
            )
        } else {
            self.store.url.clone()
        }
    }

    /// The database as errors name it: an address of the operator's may hold a password.
    pub fn database_name(&self) -> String {
        if self.store.url.is_empty() {
            format!("the database {}", self.data_dir.join("vigia.db").display())
        } else {
            "the database of store.url (DATABASE_URL)".to_owned()
        }
    }

    /// How long an operation may wait for the store.
    pub fn store_patience(&self) -> Duration {
        ms(self.store.timeout_ms)
    }

    /// When a write of what protects goes into the file of intents, and the size of that file in KiB;
    /// `None` where there is to be none.
    pub fn intents(&self) -> Option<(Duration, u64)> {
        let after = ms(self.journal.intents_after_ms);
        (!after.is_zero()).then_some((after, self.journal.intents_kib))
    }

    /// The file with the master key.
    pub fn key_file(&self) -> PathBuf {
        if self.vault.key_file.as_os_str().is_empty() {
            self.data_dir.join(KEY_FILE)
        } else {
            self.vault.key_file.clone()
        }
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connection::LinkWindows;
    use crate::domain::notice::Kinds;
    use crate::domain::price::Freshness;
    use crate::domain::proof::ProofWindows;
    use crate::domain::protection::Protections;
    use crate::domain::restart::RestartPolicy;
    use crate::exchange::{RateLimit, SocketLimits, StreamWindows};

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let find = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::load(Some(file.path()), &Environment(&find))
    }

    #[test]
    fn the_defaults_are_those_of_the_design() {
        let settings = load("", &[]).unwrap();
        let tuning = settings.tuning();
        assert_eq!(tuning.restart, RestartPolicy::default());
        assert_eq!(tuning.link, LinkWindows::default());
        assert_eq!(tuning.freshness, Freshness::default());
        assert_eq!(tuning.proof, ProofWindows::default());
        assert_eq!(tuning.stream, StreamWindows::default());
        assert_eq!(tuning.key_rate, RateLimit::per_key());
        assert_eq!(tuning.public_rate, RateLimit::public());
        assert_eq!(tuning.sockets, SocketLimits::default());
        assert!(settings.egress().is_empty());
        assert_eq!(settings.notify.kinds(), Kinds::NONE, "no receiver");
        let failures_in_a_row = Some(5);
        assert_eq!(
            settings.protections(),
            Protections {
                failures_in_a_row,
                ..Protections::default()
            }
        );
        assert_eq!(settings.database_url(), "sqlite://data/vigia.db?mode=rwc");
        assert_eq!(settings.key_file(), Path::new("data/master.key"));
    }

    #[test]
    fn a_file_and_the_environment_replace_what_they_name() {
        let text = "[price]\nblind_ms = 7000\n[networks.sim]\napi_url = \"http://127.0.0.1:1\"\n\
                    stream_url = \"ws://127.0.0.1:1\"";
        let environment = [
            ("LN_MARKETS_API_URL", "http://127.0.0.1:9/v3"),
            ("VIGIA_DATA_DIR", "d"),
        ];
        let settings = load(text, &environment).unwrap();
        assert_eq!(settings.tuning().freshness.blind, Duration::from_secs(7));
        assert_eq!(
            settings.network("mainnet").unwrap().api_url(),
            "http://127.0.0.1:9/v3"
        );
        assert_eq!(
            settings.network("sim").unwrap().api_url(),
            "http://127.0.0.1:1/v3"
        );
        assert_eq!(settings.data_dir, Path::new("d"));
        assert!(settings.network("nowhere").is_err());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        for (text, named) in [
            ("[price]\nblind_mss = 1", "blind_mss"),
            ("[price]\nblind_ms = \"soon\"", "price.blind_ms"),
            (
                "[limits]\nkept_for_commands = 5",
                "limits.kept_for_commands",
            ),
            (
                "[networks.mainnet]\napi_url = \"http://example.com\"",
                "networks.mainnet.api_url",
            ),
            ("[connection]\nread_near_ms = 0", "connection.read_near_ms"),
            ("[ownership]\nexpire_ms = 5000", "ownership.expire_ms"),
            ("[ownership]\nrenew_ms = 0", "ownership.expire_ms"),
            ("[notify]\nkinds = [\"execution.begun\"]", "notify.kinds"),
            ("[notify]\nmost_waiting = 0", "notify.most_waiting"),
            (
                "[health]\nprogress_ms = 1999",
                "health.progress_ms: it must be 2000 at least",
            ),
            ("[execution]\nstuck_ms = 0", "execution.stuck_ms"),
            ("[connection]\nstuck_ms = 0", "connection.stuck_ms"),
            (
                "[supervision]\nrefresh_ms = 9223372036854775807",
                "supervision.refresh_ms: it must be 31622400000 at most",
            ),
            ("[protection]\nsats_per_day = -1", "protection.sats_per_day"),
            ("nonsense", "line 1"),
        ] {
            let error = load(text, &[]).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
        let missing = Settings::load(Some(Path::new("/none.toml")), &Environment(&|_| None));
        assert!(missing.unwrap_err().to_string().contains("/none.toml"));
    }
}
