//! A request on its way: signed, sent, answered or not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Rest;
use crate::domain::credentials::Credentials;
use crate::exchange::answer::{date, read_bounded, retry_after, transport, unreadable};
use crate::exchange::error::{Class, Effect, ExchangeError, Reached, Rights};
use crate::exchange::rate::{Allowance, Spend};
use crate::exchange::{sign, wire};
use crate::failpoint;

/// A request that nobody foresaw waits for its place in the key's budget at most so long: over a
/// window of the exchange, and short beside the deadlines of whoever waits.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A request that nobody foresaw, until it was answered.
pub(super) struct Unforeseen(#[allow(dead_code)] Option<Allowance>);

pub(super) struct Call<'a> {
    method: Method,
    path: &'a str,
    /// With its question mark, or empty.
    query: String,
    /// As it is sent, or empty.
    body: String,
    effect: Effect,
    rights: Rights,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, path: &'a str, effect: Effect) -> Self {
        let rights = if path.starts_with("/futures/cross/") {
            Rights::Cross
        } else {
            Rights::Common
        };
        Self {
            method,
            path,
            query: String::new(),
            body: String::new(),
            effect,
            rights,
        }
    }

    pub(super) fn get(path: &'a str, query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            ..Self::new(Method::GET, path, Effect::Reads)
        }
    }

    /// What is deleted is named in the query, as the exchange has it.
    pub(super) fn delete(path: &'a str, query: impl Into<String>, effect: Effect) -> Self {
        Self {
            query: query.into(),
            ..Self::new(Method::DELETE, path, effect)
        }
    }

    pub(super) fn post(
        path: &'a str,
        body: &impl Serialize,
        effect: Effect,
    ) -> Result<Self, ExchangeError> {
        Self::new(Method::POST, path, effect).with(body)
    }

    pub(super) fn put(
        path: &'a str,
        body: &impl Serialize,
        effect: Effect,
    ) -> Result<Self, ExchangeError> {
        Self::new(Method::PUT, path, effect).with(body)
    }

    fn with(self, body: &impl Serialize) -> Result<Self, ExchangeError> {
        let body = serde_json::to_string(body).map_err(|error| {
            ExchangeError::new(Reached::Nothing, self.effect, None, None, error.to_string())
        })?;
        Ok(Self { body, ..self })
    }
}

impl Rest {
    /// Sends a signed call. After a 401, which applies nothing and whose `Date` has set the clock
    /// right, the call is signed and sent once more; or given back, where the key's budget has no
    /// request left for that, or where a proof of its absence would come too early.
    pub(super) async fn signed<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        who: &Credentials,
        at: Option<DateTime<Utc>>,
    ) -> Result<T, ExchangeError> {
        let at = at.unwrap_or_else(|| self.clock.now());
        let first = self.send(call, Some((who, at))).await;
        match first {
            Err(error) if error.class == Class::Unauthorized => {
                let later = Class::Retryable { after: None };
                let Some(_held) = self.spend_one_more().await else {
                    return Err(ExchangeError {
                        class: later,
                        ..error
                    });
                };
                let now = self.clock.now();
                if call.effect == Effect::Repeats && now - at > self.sign_anew_within {
                    return Err(ExchangeError {
                        class: later,
                        ..error
                    });
                }
                self.send(call, Some((who, now))).await
            }
            answer => answer,
        }
    }

    /// Spends a request that the caller could not foresee, after a short wait if need be; nothing
    /// where none is free so soon. Also a read takes what is kept for commands: it completes what
    /// was begun, perhaps the proof of one.
    pub(super) async fn spend_one_more(&self) -> Option<Unforeseen> {
        let Some(budget) = &self.budget else {
            return Some(Unforeseen(None));
        };
        let asked = self.clock.local().mono();
        loop {
            let now = self.clock.local().mono();
            let free_at = match budget.spend(Spend::Guard, now) {
                Ok(allowance) => return Some(Unforeseen(Some(allowance))),
                Err(free_at) => free_at,
            };
            if free_at > asked + LONGEST_WAIT {
                return None;
            }
            tokio::time::sleep(free_at.saturating_sub(now)).await;
        }
    }

    pub(super) async fn send<T: DeserializeOwned>(
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
        if let Some((who, _)) = who
            && call.effect != Effect::Reads
        {
            failpoint::pass("request.signed", who.key.expose_secret());
        }
        let asked = self.clock.local().mono();
        let answer = request
            .send()
            .await
            .map_err(|error| transport(&error, call.effect))?;
        let status = answer.status();
        if let (401, Some(date)) = (status.as_u16(), date(&answer)) {
            self.clock.dated(date, asked, self.clock.local().mono());
        }
        let after = retry_after(&answer);
        let body = read_bounded(answer, call.effect).await?;
        if !status.is_success() {
            let error: wire::ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
            let message = error
                .message
                .unwrap_or_else(|| "no reason given".to_owned());
            let reached = Reached::Answered(status.as_u16());
            let error = ExchangeError::new(reached, call.effect, error.code, after, message);
            return Err(error.of(call.rights));
        }
        serde_json::from_slice(&body).map_err(|error| unreadable(call.effect)(error.into()))
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
