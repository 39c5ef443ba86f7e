//! A tiny client with a signer of its own: neither the service's nor the simulator's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use vigia::simulator::{AccountConfig, Control, Limits, Simulator, SimulatorConfig};

pub const KEY: &str = "key-1";
pub const SECRET: &str = "secret-1";
pub const PHRASE: &str = "phrase-1";

/// Base64 of HMAC-SHA256.
pub fn sign(secret: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, message.as_bytes()))
}

pub fn now_ms() -> i64 {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

pub struct Exchange {
    pub simulator: Simulator,
    pub control: Control,
    pub http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The body of a 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    pub fn code(&self) -> (u16, String) {
        (
            self.status,
            self.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// An exchange without limits, one account with 500,000 sats, price 100,000 USD.
pub async fn exchange() -> Exchange {
    exchange_with(|_| {}).await
}

pub async fn exchange_with(change: impl FnOnce(&mut SimulatorConfig)) -> Exchange {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let mut config = SimulatorConfig {
        limits: Limits::off(),
        accounts: vec![AccountConfig::new(KEY, SECRET, PHRASE, 500_000)],
        ..Default::default()
    };
    change(&mut config);
    let simulator = Simulator::start(config).await.unwrap();
    let control = simulator.control();
    Exchange {
        simulator,
        control,
        http: reqwest::Client::builder().build().unwrap(),
    }
}

impl Exchange {
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await.unwrap()
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body)).await.unwrap()
    }

    /// A signed request; `path` begins after `/v3` and may have a query.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        self.send_as(KEY, SECRET, now_ms(), method, path, body)
            .await
    }

    pub async fn send_as(
        &self,
        key: &str,
        secret: &str,
        timestamp: i64,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let message = format!("{timestamp}{}/v3{path}{body}", method.to_lowercase());
        let url = format!("{}{path}", self.simulator.api_url());
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .header("lnm-access-key", key)
            .header("lnm-access-passphrase", PHRASE)
            .header("lnm-access-timestamp", timestamp.to_string())
            .header("lnm-access-signature", sign(secret, &message));
        if !body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        read(request.send().await?).await
    }

    /// An unsigned request to any path of the port.
    pub async fn plain(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let url = format!("http://{}{path}", self.simulator.addr());
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        read(request.send().await.unwrap()).await.unwrap()
    }

    /// Buys 1000 USD at the market with 10x; answers the trade.
    pub async fn buy(&self) -> Value {
        let body = json!({ "type": "market", "side": "buy", "quantity": 1000, "leverage": 10 });
        self.post("/futures/isolated/trade", body).await.ok()
    }

    pub fn balance(&self) -> i64 {
        self.control.account(KEY).unwrap().balance
    }

    /// The kinds of the ledger's entries.
    pub fn ledger(&self) -> Vec<vigia::simulator::LedgerKind> {
        self.control
            .ledger()
            .iter()
            .map(|entry| entry.kind)
            .collect()
    }
}

async fn read(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        text: response.text().await?,
    })
}

impl Exchange {
    /// A body is refused, by the field's name, that is good but for this value.
    pub async fn refuses(&self, path: &str, good: &Value, field: &str, value: Value) {
        let mut body = good.clone();
        body[field] = value;
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 400, "{field}");
        let named = &answer.json()["details"]["field"];
        assert_eq!(named, field, "{}", answer.text);
    }

    /// Waits until a condition holds; it is looked at again and again, for 5 seconds at most.
    pub async fn until(&self, holds: impl Fn(&Exchange) -> bool) {
        let poll = async {
            while !holds(self) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), poll)
            .await
            .expect("in time");
    }
}
