//! REST v3: one method for each call, every request with a deadline, no redirects, answers bounded.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{is_of, read_bounded, retry_after, transport, unreadable};
use super::error::{Class, Effect, ExchangeError, Reached};
use super::parse::{self, AccountReading, ClosedTrade, Ticker, Unreadable};
use super::{ExchangeClock, Network, sign, wire};
use crate::domain::credentials::Credentials;
use crate::domain::ids::PositionId;
use crate::domain::position::{Position, Side};
use crate::domain::units::{Sats, Usd};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Deadline of a command, and of a reading.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A proof that a request was not applied counts from its first signature, and leaves a margin of
/// 10 s. What is signed anew later than this could still be accepted when it counts as absent.
const SIGNED_ANEW_WITHIN: chrono::Duration = chrono::Duration::seconds(5);
/// How far back a closed trade is looked for.
const CLOSED_PAGE: usize = 100;

/// An isolated market order.
#[derive(Clone, Debug)]
pub struct NewTrade {
    /// Long or short.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Whole leverage, 1 to 100.
    pub leverage: i64,
    /// Correlation: comes back with the trade.
    pub client_id: String,
}

/// The REST side of one network. Cheap to clone; clones share connections and clock.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    network: Arc<Network>,
    clock: ExchangeClock,
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    /// With its question mark, or empty.
    query: String,
    /// As it is sent, or empty.
    body: String,
    effect: Effect,
}

impl<'a> Call<'a> {
    fn get(path: &'a str, query: impl Into<String>) -> Self {
        let (query, body) = (query.into(), String::new());
        Self {
            method: Method::GET,
            path,
            query,
            body,
            effect: Effect::Reads,
        }
    }

    fn post(path: &'a str, body: &impl Serialize, effect: Effect) -> Result<Self, ExchangeError> {
        let body = serde_json::to_string(body).map_err(|error| {
            ExchangeError::new(Reached::Nothing, effect, None, None, error.to_string())
        })?;
        Ok(Self {
            method: Method::POST,
            path,
            query: String::new(),
            body,
            effect,
        })
    }
}

impl Rest {
    /// A client of one network.
    ///
    /// # Errors
    /// Where no TLS can be set up on this machine.
    pub fn new(network: Arc<Network>, clock: ExchangeClock) -> Result<Self, ExchangeError> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("vigia/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .tcp_nodelay(true);
        if network.api_url().starts_with("http:") {
            // Unencrypted requests stay on this machine, whatever proxy the environment names.
            client = client.no_proxy();
        }
        let http = client
            .build()
            .map_err(|error| transport(&error, Effect::Reads))?;
        Ok(Self {
            http,
            network,
            clock,
        })
    }

    /// The exchange's clock, which [`Rest::measure_clock`] sets.
    pub fn clock(&self) -> &ExchangeClock {
        &self.clock
    }

    /// Measures the exchange's clock.
    ///
    /// # Errors
    /// As every call: see [`ExchangeError`].
    pub async fn measure_clock(&self) -> Result<(), ExchangeError> {
        let asked = self.clock.local().mono();
        let time: wire::Time = self.send(&Call::get("/time", ""), None).await?;
        self.clock
            .measured(time.time, asked, self.clock.local().mono());
        Ok(())
    }

    /// The last price. Public.
    ///
    /// # Errors
    /// As every call.
    pub async fn ticker(&self) -> Result<Ticker, ExchangeError> {
        let ticker = self.send(&Call::get("/futures/ticker", ""), None).await?;
        parse::ticker(&ticker).map_err(unreadable(Effect::Reads))
    }

    /// The account's balance.
    ///
    /// # Errors
    /// As every call.
    pub async fn account(&self, who: &Credentials) -> Result<AccountReading, ExchangeError> {
        let account = self.signed(&Call::get("/account", ""), who, None).await?;
        parse::account(&account).map_err(unreadable(Effect::Reads))
    }

    /// All running isolated trades.
    ///
    /// # Errors
    /// As every call; also where one trade of the answer cannot be read, since an incomplete list
    /// would look like a closed trade.
    pub async fn running(&self, who: &Credentials) -> Result<Vec<Position>, ExchangeError> {
        let call = Call::get("/futures/isolated/trades/running", "");
        let trades: Vec<wire::Trade> = self.signed(&call, who, None).await?;
        let running = trades.iter().filter(|trade| parse::is_running(trade));
        running
            .map(parse::position)
            .collect::<Result<_, _>>()
            .map_err(unreadable(Effect::Reads))
    }

    /// A trade that was closed of late, if it is among the last hundred.
    ///
    /// # Errors
    /// As every call.
    pub async fn closed(
        &self,
        who: &Credentials,
        id: PositionId,
    ) -> Result<Option<ClosedTrade>, ExchangeError> {
        let query = format!("?limit={CLOSED_PAGE}");
        let call = Call::get("/futures/isolated/trades/closed", query);
        let page: wire::Page<wire::Trade> = self.signed(&call, who, None).await?;
        let found = page.data.iter().find(|trade| trade.id == id.0);
        found
            .map(parse::closed_trade)
            .transpose()
            .map_err(unreadable(Effect::Reads))
    }

    /// Funding taken from a trade's margin since a time.
    ///
    /// # Errors
    /// As every call.
    pub async fn funding_cost_since(
        &self,
        who: &Credentials,
        id: PositionId,
        since: DateTime<Utc>,
    ) -> Result<Sats, ExchangeError> {
        let query = format!("?limit=1000&tradeId={id}");
        let call = Call::get("/futures/isolated/funding-fees", query);
        let page: wire::Page<wire::FundingFee> = self.signed(&call, who, None).await?;
        parse::funding_cost_since(&page.data, since).map_err(unreadable(Effect::Reads))
    }

    /// Adds margin to a running trade. Not idempotent: each request has its effect.
    ///
    /// # Errors
    /// As every call; [`Class::Unknown`] where it may have been applied.
    pub async fn add_margin(
        &self,
        who: &Credentials,
        id: PositionId,
        amount: Sats,
        signed_at: DateTime<Utc>,
    ) -> Result<Position, ExchangeError> {
        let body = wire::IdAmount {
            id: id.0,
            amount: amount.0,
        };
        let call = Call::post("/futures/isolated/trade/add-margin", &body, Effect::Repeats)?;
        let trade: wire::Trade = self.signed(&call, who, Some(signed_at)).await?;
        is_of(&trade, id, parse::is_running(&trade)).map_err(unreadable(Effect::Repeats))?;
        parse::position(&trade).map_err(unreadable(Effect::Repeats))
    }

    /// Closes a running trade. Idempotent: a trade closes once.
    ///
    /// # Errors
    /// As every call.
    pub async fn close(
        &self,
        who: &Credentials,
        id: PositionId,
        signed_at: DateTime<Utc>,
    ) -> Result<ClosedTrade, ExchangeError> {
        let body = wire::Id { id: id.0 };
        let call = Call::post("/futures/isolated/trade/close", &body, Effect::Idempotent)?;
        let trade: wire::Trade = self.signed(&call, who, Some(signed_at)).await?;
        is_of(&trade, id, trade.closed).map_err(unreadable(Effect::Idempotent))?;
        parse::closed_trade(&trade).map_err(unreadable(Effect::Idempotent))
    }

    /// Opens an isolated trade at the market.
    ///
    /// # Errors
    /// As every call; [`Class::Unknown`] where it may have been applied.
    pub async fn open(
        &self,
        who: &Credentials,
        trade: &NewTrade,
    ) -> Result<Position, ExchangeError> {
        let order = wire::MarketOrder {
            r#type: "market",
            side: match trade.side {
                Side::Buy => wire::Side::Buy,
                Side::Sell => wire::Side::Sell,
            },
            quantity: trade.quantity.0,
            leverage: trade.leverage,
            client_id: &trade.client_id,
        };
        let call = Call::post("/futures/isolated/trade", &order, Effect::Repeats)?;
        let trade = self.signed(&call, who, None).await?;
        parse::position(&trade).map_err(unreadable(Effect::Repeats))
    }

    /// Sends a signed call. After a 401, which applies nothing, the clock is measured and the call
    /// signed and sent once more; or given back, where a proof of its absence would come too early.
    async fn signed<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        who: &Credentials,
        at: Option<DateTime<Utc>>,
    ) -> Result<T, ExchangeError> {
        let at = at.unwrap_or_else(|| self.clock.now());
        let first = self.send(call, Some((who, at))).await;
        match first {
            Err(error) if error.class == Class::Unauthorized => {
                if self.clock.is_to_be_measured() && self.measure_clock().await.is_err() {
                    return Err(error);
                }
                let now = self.clock.now();
                if call.effect == Effect::Repeats && now - at > SIGNED_ANEW_WITHIN {
                    let class = Class::Retryable { after: None };
                    return Err(ExchangeError { class, ..error });
                }
                self.send(call, Some((who, now))).await
            }
            answer => answer,
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        who: Option<(&Credentials, DateTime<Utc>)>,
    ) -> Result<T, ExchangeError> {
        let url = format!("{}{}{}", self.network.api_url(), call.path, call.query);
        let mut request = self.http.request(call.method.clone(), url);
        if let Some((who, at)) = who {
            request = request.headers(self.sign(call, who, at)?);
        }
        if !call.body.is_empty() {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(call.body.clone());
        }
        let answer = request
            .send()
            .await
            .map_err(|error| transport(&error, call.effect))?;
        let status = answer.status();
        let after = retry_after(&answer);
        let body = read_bounded(answer, call.effect).await?;
        if !status.is_success() {
            let error: wire::ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
            let message = error
                .message
                .unwrap_or_else(|| "no reason given".to_owned());
            let reached = Reached::Answered(status.as_u16());
            return Err(ExchangeError::new(
                reached,
                call.effect,
                error.code,
                after,
                message,
            ));
        }
        serde_json::from_slice(&body)
            .map_err(|error| unreadable(call.effect)(Unreadable(error.to_string())))
    }

    fn sign(
        &self,
        call: &Call<'_>,
        who: &Credentials,
        at: DateTime<Utc>,
    ) -> Result<HeaderMap, ExchangeError> {
        let timestamp = at.timestamp_millis();
        let path = format!("{}{}", self.network.api_path(), call.path);
        let data = if call.body.is_empty() {
            &call.query
        } else {
            &call.body
        };
        let signature = sign::rest(&who.secret, timestamp, call.method.as_str(), &path, data);
        let mut headers = HeaderMap::with_capacity(4);
        let mut put = |name: &'static str, value: &str| {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                let message = format!("{name} holds characters that cannot be sent");
                ExchangeError {
                    class: Class::Unauthorized,
                    status: None,
                    code: None,
                    message,
                }
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok(())
        };
        let text = |part: &SecretString| part.expose_secret().to_owned();
        put("lnm-access-key", &text(&who.key))?;
        put("lnm-access-passphrase", &text(&who.passphrase))?;
        put("lnm-access-timestamp", &timestamp.to_string())?;
        put("lnm-access-signature", &signature)?;
        Ok(headers)
    }
}
