//! The service that runs on the data folder, asked over its HTTP.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::Access;

/// A service that is there says so by then, however busy it is.
const SHOWS_WITHIN: Duration = Duration::from_secs(3);
/// The longest verb, a restart, ends `supervision.restart_ms` after it began, if not before.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// Who is found behind a data folder.
pub(super) enum Found {
    /// Nobody: what is to be done is done to the store.
    Nobody,
    /// Somebody who does not answer.
    Mute(anyhow::Error),
    /// A service that answers.
    Service(Service),
}

/// A service that answers.
pub(super) struct Service {
    client: reqwest::Client,
    access: Access,
}

impl Service {
    /// Looks for the service of a data folder. A file that a killed one left behind leads to nobody,
    /// or to somebody who does not know its token.
    pub(super) async fn find(folder: &Path) -> Result<Found> {
        let Some(access) = Access::read(folder) else {
            return Ok(Found::Nobody);
        };
        let client = reqwest::Client::builder().no_proxy().build()?;
        let service = Self { client, access };
        let look = service.request(Method::GET, &["kill-switches"], &[])?;
        Ok(match look.timeout(SHOWS_WITHIN).send().await {
            Err(error) if error.is_connect() => Found::Nobody,
            Err(error) => {
                let address = service.access.address;
                let error = anyhow!(error);
                Found::Mute(error.context(format!("the service at {address} does not answer")))
            }
            Ok(answer) => match answer.status() {
                StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => Found::Nobody,
                // Another process trades, perhaps on another machine: it follows the store.
                StatusCode::SERVICE_UNAVAILABLE if stands_by(answer).await => Found::Nobody,
                _ => Found::Service(service),
            },
        })
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder> {
        let mut url = Url::parse(&format!("http://{}/v1", self.access.address))?;
        // Whatever signs a name has.
        let segments = url.path_segments_mut();
        segments
            .map_err(|()| anyhow!("the service's address has no paths"))?
            .extend(path);
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let request = self.client.request(method, url);
        Ok(request.bearer_auth(self.access.token.expose_secret()))
    }

    /// Has it do something.
    ///
    /// # Errors
    /// Why it did not, in its own words; or that nobody knows whether it did.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<T> {
        let mut request = self.request(method, path, query)?.timeout(ANSWERS_WITHIN);
        if !body.is_null() {
            request = request.json(body);
        }
        let address = self.access.address;
        let answer = request.send().await.with_context(|| {
            format!(
                "the service at {address} has not answered: it may or may not have done it, \
                 `vigia status` shows how things are"
            )
        })?;
        if answer.status().is_success() {
            let answer = answer.json().await;
            return answer.context("the service's answer cannot be read: is it of this version?");
        }
        let status = answer.status();
        let said: Value = answer.json().await.unwrap_or_default();
        match said["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => bail!("the service at {address} answered {status}"),
        }
    }
}

async fn stands_by(answer: reqwest::Response) -> bool {
    let told: Value = answer.json().await.unwrap_or_default();
    told["standing_by"] == true
}
