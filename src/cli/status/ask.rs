//! Asking the running service.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use secrecy::ExposeSecret;

use super::super::waiting::waiting;
use crate::admin::{Access, Choice, StatusReport};
use crate::journal::left_in;

/// A service that does not answer within this is in trouble.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the service of a data folder says of itself.
///
/// # Errors
/// Where none runs, or it does not answer.
pub(super) async fn ask(folder: &Path, choice: &Choice) -> Result<StatusReport> {
    let shown = folder.display();
    let Some(access) = Access::read(folder) else {
        let left = match left_in(folder) {
            Ok(0) => String::new(),
            Ok(left) => format!("\n{}", waiting(left)),
            Err(error) => format!("\n{error}"),
        };
        bail!(
            "no service runs on the data folder {shown}: start one with `vigia run`, or name its folder with --data-dir{left}"
        );
    };
    answer(&access, choice).await.with_context(|| {
        format!(
            "the service of the data folder {shown} does not tell how it is at {}",
            access.address
        )
    })
}

async fn answer(access: &Access, choice: &Choice) -> Result<StatusReport> {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .build()?;
    let mut url = reqwest::Url::parse(&format!("http://{}/v1/tree", access.address))?;
    if choice.all {
        url.query_pairs_mut().append_pair("all", "true");
    }
    if let Some(account) = &choice.account {
        url.query_pairs_mut().append_pair("account", account);
    }
    let request = client.get(url).bearer_auth(access.token.expose_secret());
    let answer = request.send().await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        bail!(
            "whoever listens there does not know the token of admin.json in this folder: it is the \
             service of another one (--data-dir), or that file was overwritten, which a restart of \
             the service mends"
        );
    }
    Ok(answer.error_for_status()?.json().await?)
}
