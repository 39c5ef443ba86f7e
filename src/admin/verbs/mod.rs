//! What an operator does: each verb writes the store, which is what counts, and has the service
//! follow at once.

mod accounts;
mod automations;
mod body;
mod credentials;
mod kill_switches;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::door::{Door, refusal};
use crate::actors::Refresh;
use crate::store::{Account, Automation, StoreError};

/// A service that has not followed by then follows at its next look into the store.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);

/// What a verb about an account came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountAnswer {
    /// The account, as it is now stored; as it was, where it was removed.
    pub account: Account,
    /// Whether that differs from before.
    pub changed: bool,
    /// Whether the service has followed already. Otherwise it does at its next look into the store.
    pub in_effect: bool,
}

/// What a verb about an automation came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutomationAnswer {
    /// The automation, as it is now stored; as it was, where it was removed.
    pub automation: Automation,
    /// Whether that differs from before.
    pub changed: bool,
    /// Whether the service has followed already. Otherwise it does at its next look into the store.
    pub in_effect: bool,
}

pub use accounts::{OPERATOR, RestartAnswer};
pub use credentials::CredentialsAnswer;
pub use kill_switches::KillSwitchAnswer;

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .merge(accounts::routes())
        .merge(credentials::routes())
        .merge(automations::routes())
        .merge(kill_switches::routes())
}

/// Has the service follow what was written; whether it has.
async fn follows(door: &Door) -> bool {
    let following = door.shared.supervisor.ask(Refresh);
    matches!(
        tokio::time::timeout(FOLLOWS_WITHIN, following).await,
        Ok(Ok(()))
    )
}

/// Has what holds back be obeyed also by what does not wait for the store.
async fn obeyed(door: &Door) -> Result<(), Response> {
    let obeyed = door.shared.journal.obey().await;
    obeyed.map_err(|error| {
        let error = format!(
            "it is written, but the store does not answer ({error}): what protects may go on for \
             another moment; do it again"
        );
        refusal(StatusCode::SERVICE_UNAVAILABLE, error)
    })
}

/// What the store would not do. `refused`: the status of what is not possible here.
fn not_stored(error: &StoreError, refused: StatusCode) -> Response {
    let status = match error {
        StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
        StoreError::Exists { .. } | StoreError::ForeignKey(_) | StoreError::Constraint(_) => {
            StatusCode::CONFLICT
        }
        StoreError::Refused(_) => refused,
        StoreError::Unavailable { .. } | StoreError::Busy { .. } | StoreError::NotMigrated(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        StoreError::Corrupt { .. } | StoreError::Vault(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, error)
}

/// What was looked up or changed and is not possible now.
fn conflict(error: StoreError) -> Response {
    not_stored(&error, StatusCode::CONFLICT)
}
