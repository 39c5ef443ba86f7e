//! A simulated exchange without limits, one account, and the client before it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use vigia::clock::Clock;
use vigia::domain::credentials::Credentials;
use vigia::domain::position::{Position, Side};
use vigia::domain::units::{Price, Usd};
use vigia::exchange::{ExchangeClock, Network, NewTrade, Rest};
use vigia::simulator::{AccountConfig, Control, Limits, Simulator, SimulatorConfig};

pub const KEY: &str = "key-1";
const SECRET: &str = "secret-1";
const PHRASE: &str = "phrase-1";
/// Enough for everything.
const RICH: i64 = 200_000_000;
pub const QUANTITY: Usd = Usd(1000);

pub struct Stage {
    _simulator: Simulator,
    pub control: Control,
    pub network: Arc<Network>,
    pub rest: Rest,
    pub who: Credentials,
}

impl Stage {
    /// The price is 100,000 USD; bodies must be written as JavaScript writes them.
    pub async fn set() -> Self {
        Self::set_for(AccountConfig::new(KEY, SECRET, PHRASE, RICH)).await
    }

    /// A key with these rights only.
    pub async fn with_rights(rights: &[&str]) -> Self {
        let account = AccountConfig::new(KEY, SECRET, PHRASE, RICH);
        Self::set_for(account.with_permissions(rights)).await
    }

    async fn set_for(account: AccountConfig) -> Self {
        let simulator = Simulator::start(SimulatorConfig {
            limits: Limits::off(),
            accounts: vec![account],
            strict_json: true,
            ..SimulatorConfig::default()
        })
        .await
        .unwrap();
        let network = network(&simulator.api_url(), &simulator.stream_url());
        Self {
            control: simulator.control(),
            _simulator: simulator,
            rest: rest(&network),
            network,
            who: who(),
        }
    }

    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.rest.clock().now()
    }

    /// Buys at the market with 10x.
    pub async fn buy(&self, client_id: &str) -> Position {
        let trade = NewTrade::market(Side::Buy, QUANTITY, 10.0, client_id);
        self.rest.open(&self.who, &trade, self.now()).await.unwrap()
    }

    /// What the client does not do itself, signed here: for example to place a limit order.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (body, at) = (body.to_string(), self.now().timestamp_millis());
        let message = format!("{at}post/v3{path}{body}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, message.as_bytes()));
        let answer = reqwest::Client::new()
            .post(format!("{}{path}", self.network.api_url()))
            .header("lnm-access-key", KEY)
            .header("lnm-access-passphrase", PHRASE)
            .header("lnm-access-timestamp", at.to_string())
            .header("lnm-access-signature", signature)
            .header("content-type", "application/json")
            .body(body)
            .send();
        let answer = answer.await.unwrap().error_for_status().unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// How often a route was asked for, such as `GET /account`.
    pub fn asked(&self, route: &str) -> u64 {
        self.control.requests().of(route)
    }
}

pub fn who() -> Credentials {
    Credentials::new(KEY, SECRET, PHRASE)
}

pub fn network(api: &str, stream: &str) -> Arc<Network> {
    Arc::new(Network::new("test", api, stream).unwrap())
}

pub fn rest(network: &Arc<Network>) -> Rest {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let clock = ExchangeClock::new(Clock::start());
    Rest::new(Arc::clone(network), clock).unwrap()
}

pub fn price(usd: f64) -> Price {
    Price::from_usd(usd).unwrap()
}
