//! What a simulator is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::choices::Choices;
use super::limits::Limits;
use super::pacing::{Cadence, Speed};
use super::tape::Tape;
use super::tls::Certificate;

/// The scopes of an account that may trade, and may not withdraw.
pub const TRADING_SCOPES: [&str; 5] = [
    "account:read",
    "futures:isolated:read",
    "futures:isolated:write",
    "futures:cross:read",
    "futures:cross:write",
];

/// All scopes that the exchange has, withdrawing among them.
pub const ALL_SCOPES: [&str; 13] = [
    "account:read",
    "account:deposits:read",
    "account:deposits:write",
    "account:withdrawals:read",
    "account:withdrawals:write",
    "account:notifications:read",
    "account:notifications:write",
    "futures:isolated:read",
    "futures:isolated:write",
    "futures:cross:read",
    "futures:cross:write",
    "synthetic-usd:read",
    "synthetic-usd:write",
];

/// Everything that a simulator needs to start.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Accounts that exist from the start; more can be added while it runs.
    pub accounts: Vec<AccountConfig>,
    /// Where prices come from.
    pub tape: Tape,
    /// How fast the tape runs. Nothing else is scaled.
    pub speed: Speed,
    /// How often prices are pushed to sockets.
    pub cadence: Cadence,
    /// Whether the tape waits for [`start_tape`](super::Control::start_tape).
    pub start_paused: bool,
    /// Rate and socket limits.
    pub limits: Limits,
    /// Tolerances and timeouts of the protocol.
    pub protocol: ProtocolWindows,
    /// Seed of everything random: ids here, prices in the tape by their own seed.
    pub seed: u64,
    /// Difference of ask and bid in USD; 0 quotes the last price on both sides.
    pub spread: f64,
    /// Funding rate at the start: 0.0001 is 0.01 %, paid by longs every 8 hours of the tape.
    pub funding_rate: f64,
    /// What is done where the protocol is unknown.
    pub choices: Choices,
    /// Sign check over canonical JSON too: a body with spaces or `10.0` is then answered 401.
    pub strict_json: bool,
    /// Serves https and wss with this certificate; `None` serves http and ws.
    pub tls: Option<Certificate>,
}

impl Default for SimulatorConfig {
    /// A free port on loopback, no accounts, a fixed price of 100,000 USD, the exchange's limits.
    fn default() -> Self {
        SimulatorConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            tape: Tape::Fixed(100_000.0),
            speed: Speed::Times(1.0),
            cadence: Cadence::default(),
            start_paused: false,
            limits: Limits::exchange(),
            protocol: ProtocolWindows::default(),
            seed: 1,
            spread: 0.0,
            funding_rate: 0.0001,
            choices: Choices::default(),
            strict_json: false,
            tls: None,
        }
    }
}

/// Tolerances and timeouts of the protocol; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolWindows {
    /// How far a REST timestamp may be from server time.
    pub rest_timestamp: Duration,
    /// How far a stream timestamp may be from server time.
    pub stream_timestamp: Duration,
    /// How long a nonce must not repeat.
    pub nonce: Duration,
    /// A socket without an inbound frame for so long is dropped without a close frame.
    pub idle: Duration,
    /// How often the server pings a socket.
    pub ping: Duration,
    /// Shortest time between two pushes of the ticker topic.
    pub ticker: Duration,
}

impl Default for ProtocolWindows {
    fn default() -> Self {
        ProtocolWindows {
            rest_timestamp: Duration::from_secs(30),
            stream_timestamp: Duration::from_secs(10),
            nonce: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            ping: Duration::from_secs(60),
            ticker: Duration::from_secs(1),
        }
    }
}

/// One account of the exchange.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// API key.
    pub key: String,
    /// API secret, used as text.
    pub secret: String,
    /// Passphrase of the key.
    pub passphrase: String,
    /// Free balance at the start, satoshis.
    pub balance_sats: i64,
    /// Cross margin at the start, satoshis.
    #[serde(default)]
    pub cross_margin_sats: i64,
    /// Scopes of the key; by default [`TRADING_SCOPES`].
    #[serde(default = "trading_scopes")]
    pub permissions: Vec<String>,
    /// Fee tier, 0 to 3: 0.1, 0.08, 0.07 and 0.06 %; traded volume makes it better.
    #[serde(default)]
    pub fee_tier: u8,
    /// Mail address of the user, if there is one.
    #[serde(default)]
    pub email: Option<String>,
}

fn trading_scopes() -> Vec<String> {
    TRADING_SCOPES.map(str::to_owned).to_vec()
}

impl AccountConfig {
    /// An account of fee tier 0 with all trading scopes.
    pub fn new(key: &str, secret: &str, passphrase: &str, balance_sats: i64) -> Self {
        AccountConfig {
            key: key.to_owned(),
            secret: secret.to_owned(),
            passphrase: passphrase.to_owned(),
            balance_sats,
            cross_margin_sats: 0,
            permissions: trading_scopes(),
            fee_tier: 0,
            email: None,
        }
    }

    /// The same account with these scopes only.
    #[must_use]
    pub fn with_permissions(mut self, scopes: &[&str]) -> Self {
        self.permissions = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// The same account with so much cross margin, satoshis.
    #[must_use]
    pub fn with_cross_margin(mut self, sats: i64) -> Self {
        self.cross_margin_sats = sats;
        self
    }

    /// The same account in another fee tier.
    #[must_use]
    pub fn with_fee_tier(mut self, tier: u8) -> Self {
        self.fee_tier = tier;
        self
    }
}

impl fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountConfig")
            .field("key", &self.key)
            .field("balance_sats", &self.balance_sats)
            .field("cross_margin_sats", &self.cross_margin_sats)
            .field("permissions", &self.permissions)
            .field("fee_tier", &self.fee_tier)
            .finish_non_exhaustive()
    }
}

/// Why `KEY:SECRET:PASSPHRASE:BALANCE_SATS` could not be read. Never repeats the text: it holds
/// a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAccountError {
    /// A part is missing or empty.
    #[error("{0} is missing: expected KEY:SECRET:PASSPHRASE:BALANCE_SATS")]
    Missing(&'static str),
    /// The balance is not a whole, non-negative number of satoshis.
    #[error("balance_sats must be a whole number of satoshis, 0 or more")]
    Balance,
    /// There are more than four parts.
    #[error("too many parts after balance_sats: expected KEY:SECRET:PASSPHRASE:BALANCE_SATS")]
    TooMany,
}

impl FromStr for AccountConfig {
    type Err = ParseAccountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let mut part = |name| match parts.next() {
            Some(part) if !part.is_empty() => Ok(part),
            _ => Err(ParseAccountError::Missing(name)),
        };
        let (key, secret) = (part("key")?, part("secret")?);
        let (passphrase, balance) = (part("passphrase")?, part("balance_sats")?);
        let balance = match balance.parse() {
            Ok(balance) if balance >= 0 => balance,
            _ => return Err(ParseAccountError::Balance),
        };
        if parts.next().is_some() {
            return Err(ParseAccountError::TooMany);
        }
        Ok(AccountConfig::new(key, secret, passphrase, balance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_four_parts() {
        let account: AccountConfig = "k:s:p:500000".parse().unwrap();
        assert_eq!(account, AccountConfig::new("k", "s", "p", 500_000));
    }

    #[test]
    fn errors_name_the_field_and_not_the_secret() {
        for (text, error) in [
            ("", ParseAccountError::Missing("key")),
            ("k", ParseAccountError::Missing("secret")),
            ("k:s", ParseAccountError::Missing("passphrase")),
            ("k::p:1", ParseAccountError::Missing("secret")),
            ("k:s:p", ParseAccountError::Missing("balance_sats")),
            ("k:s:p:x", ParseAccountError::Balance),
            ("k:s:p:-1", ParseAccountError::Balance),
            ("k:s:p:1:2", ParseAccountError::TooMany),
        ] {
            assert_eq!(text.parse::<AccountConfig>(), Err(error), "{text}");
        }
    }

    #[test]
    fn debug_hides_secret_and_passphrase() {
        let shown = format!(
            "{:?}",
            AccountConfig::new("key-1", "secret-1", "phrase-1", 5)
        );
        assert!(shown.contains("key-1"));
        assert!(
            !shown.contains("secret-1") && !shown.contains("phrase-1"),
            "{shown}"
        );
    }
}
