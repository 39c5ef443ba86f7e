//! `/v1/accounts/{account}/credentials`: another key for an account, while it is served.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::accounts::{RestartAnswer, restarted, told};
use super::body::Body;
use super::{conflict, not_stored};
use crate::actors::{NetworkShared, RestartRefused};
use crate::admin::door::{Door, Operator, Path, refusal};
use crate::admin::verify::{Key, NotVerified, verify};
use crate::domain::credentials::Credentials;
use crate::store::Account;

/// An account that is being restarted for another reason is asked for again so often.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ASKED_AT_MOST: u32 = 400;

pub(super) fn routes() -> Router<Door> {
    Router::new().route("/v1/accounts/{account}/credentials", post(change))
}

/// An account with other credentials.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsAnswer {
    /// The account, as it is now stored.
    pub account: Account,
    /// Whether the exchange has accepted the new credentials.
    pub verified: bool,
    /// Whether they are known to be of the same account of the exchange as the old ones; `null`
    /// where the exchange no longer accepts those, or was not asked.
    pub same_account: Option<bool>,
    /// How the connection went over to them; `null` where it did not.
    pub switched: Option<RestartAnswer>,
    /// Why it did not.
    pub not_switched: Option<String>,
}

/// Takes the three parts out of a body.
pub(super) fn given(body: &mut Body) -> Credentials {
    let parts = ["key", "secret", "passphrase"];
    let wrong = body.problems();
    let [key, secret, passphrase] = parts.map(|part| body.needed(part));
    let credentials = Credentials::new(key, secret, passphrase);
    if body.problems() == wrong {
        for part in credentials.unusable_parts() {
            let problem = "it cannot be what the exchange gave: printable text without blanks \
                           around it";
            body.refuse(part, problem);
        }
    }
    credentials
}

async fn change(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    mut body: Body,
) -> Result<Json<CredentialsAnswer>, Response> {
    let new = given(&mut body);
    let unverified = body.flag("unverified", false);
    body.end()?;
    let store = &door.shared.store;
    let account = store.account(&account).await.map_err(conflict)?;
    let same_account = if unverified {
        None
    } else {
        let verified = verified(&door, &account, &new).await;
        verified.map_err(|(status, error)| {
            tracing::warn!(
                event = "credentials.refused", account_id = %account.id,
                account_name = account.name, error = %error
            );
            refusal(status, error)
        })?
    };
    let changed = store.set_credentials(&account.id, new, door.shared.clock.utc());
    let changed = changed.await;
    let account = changed.map_err(|error| not_stored(&error, StatusCode::BAD_REQUEST))?;
    told("account.credentials", &account);
    if !store.wipe().await {
        tracing::warn!(
            event = "credentials.old_kept", account_id = %account.id, account_name = account.name,
            "what was sealed before is still in the write-ahead log, until that is next emptied"
        );
    }
    let (switched, not_switched) = match switch(&door, &account).await {
        Ok(restarted) => (Some(restarted), None),
        Err(refused) => (None, Some(refused.to_string())),
    };
    Ok(Json(CredentialsAnswer {
        account,
        verified: !unverified,
        same_account,
        switched,
        not_switched,
    }))
}

/// The exchange's word, as `same_account` of the answer.
async fn verified(
    door: &Door,
    account: &Account,
    new: &Credentials,
) -> Result<Option<bool>, (StatusCode, NotVerified)> {
    let Some(network) = door.shared.networks.get(&account.network) else {
        let network = &account.network;
        let error = NotVerified::Unreachable(format!("its network {network} is not configured"));
        return Err((StatusCode::CONFLICT, error));
    };
    // Where they cannot be opened there is nothing to compare with.
    let old = door.shared.store.credentials(&account.id).await.ok();
    let old = old.as_ref().map(|old| key(network, old));
    let verified = verify(&network.rest, old, key(network, new)).await;
    verified.map_err(|error| {
        let status = match error {
            NotVerified::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            NotVerified::Refused(_) | NotVerified::Another { .. } => StatusCode::CONFLICT,
        };
        (status, error)
    })
}

fn key<'a>(network: &NetworkShared, credentials: &'a Credentials) -> Key<'a> {
    Key {
        credentials,
        budget: Some(network.key_rates.of(credentials)),
    }
}

/// Has the connection go over to what is stored now.
async fn switch(door: &Door, account: &Account) -> Result<RestartAnswer, RestartRefused> {
    for _ in 0..ASKED_AT_MOST {
        match restarted(door, account).await {
            // Perhaps with the old ones.
            Err(RestartRefused::Restarting) => tokio::time::sleep(ASK_AGAIN).await,
            Ok(restarted) => return Ok(RestartAnswer::of(account.clone(), restarted)),
            Err(refused) => return Err(refused),
        }
    }
    Err(RestartRefused::Restarting)
}
