//! The sections of the configuration, as they are written.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::telemetry::LogFormat;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$key:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs)] // each key is explained in config/default.toml
        pub struct $name { $($(#[$key])* pub $field: $type),* }
    };
}

section! {
    /// `[store]`
    StoreSettings { url: String, timeout_ms: u64 }
}
section! {
    /// `[journal]`
    JournalSettings { intents_after_ms: u64, intents_kib: u64 }
}
section! {
    /// `[vault]`
    VaultSettings { key_file: PathBuf }
}
section! {
    /// `[networks.*]`
    NetworkSettings { api_url: String, stream_url: String, #[serde(default)] ca_file: PathBuf }
}
section! {
    /// `[limits]`
    LimitSettings {
        requests_per_second: usize,
        kept_for_commands: usize,
        public_requests_per_second: usize,
        sockets: usize,
        new_sockets_per_hour: usize,
        logins_per_minute: usize,
        second_ms: u64,
        minute_ms: u64,
        hour_ms: u64,
        socket_kept_ms: u64,
        socket_lingers_ms: u64,
        egress: Vec<IpAddr>,
    }
}
section! {
    /// `[connection]`
    ConnectionSettings {
        read_near_ms: u64,
        read_far_ms: u64,
        refused_pause_ms: u64,
        failing_ms: u64,
        stuck_ms: u64,
        ping_period_ms: u64,
        ping_deadline_ms: u64,
        reconnect_first_ms: u64,
        reconnect_longest_ms: u64,
    }
}
section! {
    /// `[price]`
    PriceSettings { quiet_ms: u64, ticker_period_ms: u64, blind_ms: u64, deaf_ms: u64 }
}
section! {
    /// `[execution]`
    ExecutionSettings {
        live: usize,
        stuck_ms: u64,
        request_validity_ms: u64,
        proof_safety_ms: u64,
        between_readings_ms: u64,
        attempts: u32,
        retry_ms: u64,
    }
}
section! {
    /// `[supervision]`
    SupervisionSettings {
        most_deaths: usize,
        window_ms: u64,
        quarantine_ms: u64,
        first_delay_ms: u64,
        longest_delay_ms: u64,
        reset_after_ms: u64,
        refresh_ms: u64,
        restart_ms: u64,
    }
}
section! {
    /// `[health]`
    HealthSettings { period_ms: u64, every_account: usize, full_ms: u64, progress_ms: u64 }
}
section! {
    /// `[metrics]`
    MetricsSettings { accounts: usize }
}
section! {
    /// `[stop]`
    StopSettings { deadline_ms: u64 }
}
section! {
    /// `[admin]`
    AdminSettings { listen: String, operator_token_file: PathBuf, viewer_token_file: PathBuf }
}
section! {
    /// `[log]`
    LogSettings { format: LogFormat, filter: String }
}
