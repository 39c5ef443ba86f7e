//! The windows of time that tests shorten: of the exchange and, alike, of the service.

use std::time::Duration;

use vigia::simulator::{Limits, ProtocolWindows, Simulator, SimulatorConfig, Tape};

use super::{NETWORK, START};

/// Milliseconds.
#[derive(Clone, Copy)]
pub struct Windows {
    pub validity_ms: u64,
    pub safety_ms: u64,
    pub stop_ms: u64,
    pub store_ms: u64,
    /// Of the right to trade, where the store is a server: renewed, in doubt, ended.
    pub lease_ms: [u64; 3],
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            validity_ms: 1500,
            safety_ms: 500,
            stop_ms: 10_000,
            store_ms: 5000,
            lease_ms: [200, 500, 900],
        }
    }
}

impl Windows {
    /// An exchange whose price stands still until it is set.
    pub fn exchange(self) -> Simulator {
        let config = SimulatorConfig {
            tape: Tape::Fixed(START),
            limits: Limits::off(),
            protocol: ProtocolWindows {
                rest_timestamp: Duration::from_millis(self.validity_ms),
                ..ProtocolWindows::default()
            },
            ..SimulatorConfig::default()
        };
        Simulator::start_on_thread(config).unwrap()
    }

    /// The configuration of a service at this exchange, with its store at a URL.
    pub fn config(self, simulator: &Simulator, url: &str) -> String {
        let Windows {
            validity_ms,
            safety_ms,
            stop_ms,
            store_ms,
            lease_ms: [renew_ms, stop_sending_ms, expire_ms],
        } = self;
        let (api, stream) = (simulator.api_url(), simulator.stream_url());
        format!(
            r#"
[networks.{NETWORK}]
api_url = "{api}"
stream_url = "{stream}"
[store]
url = "{url}"
timeout_ms = {store_ms}
[ownership]
renew_ms = {renew_ms}
stop_sending_ms = {stop_sending_ms}
expire_ms = {expire_ms}
[limits]
requests_per_second = 200
second_ms = 100
kept_for_commands = 100
public_requests_per_second = 50
[connection]
read_near_ms = 200
read_far_ms = 1000
[execution]
request_validity_ms = {validity_ms}
proof_safety_ms = {safety_ms}
between_readings_ms = 100
retry_ms = 20
[supervision]
first_delay_ms = 20
refresh_ms = 200
[stop]
deadline_ms = {stop_ms}
[log]
filter = "info,vigia=debug"
"#
        )
    }
}
