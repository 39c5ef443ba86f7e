//! `/v1/accounts`: which accounts are served, and how.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Body;
use super::{AccountAnswer, conflict, credentials, follows, not_stored, obeyed};
use crate::actors::{RestartAccount, RestartRefused, Restarted};
use crate::admin::door::{Door, Operator, Path, Query, Viewer, refusal};
use crate::domain::ids::UserId;
use crate::store::{Account, NewAccount, StoreError};

/// What an account is called that was paused by a person.
pub const OPERATOR: &str = "operator";

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/accounts", get(list).post(add))
        .route("/v1/accounts/{account}", get(show).delete(remove))
        .route("/v1/accounts/{account}/enable", post(enable))
        .route("/v1/accounts/{account}/disable", post(disable))
        .route("/v1/accounts/{account}/pause", post(pause))
        .route("/v1/accounts/{account}/resume", post(resume))
        .route("/v1/accounts/{account}/restart", post(restart))
}

type Answer = Result<Json<AccountAnswer>, Response>;

/// An account that was restarted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartAnswer {
    /// The account.
    pub account: Account,
    /// How long the old connection still ran beside the new one that was live, in milliseconds.
    pub handover_ms: f64,
    /// From the request until the old connection had ended, in milliseconds.
    pub took_ms: f64,
    /// How the new connection is served: `websocket` or `http`.
    pub transport: String,
}

impl RestartAnswer {
    pub(super) fn of(account: Account, restarted: Restarted) -> Self {
        let ms = |span: Duration| (span.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            account,
            handover_ms: ms(restarted.handover),
            took_ms: ms(restarted.took),
            transport: restarted.transport.to_string(),
        }
    }
}

async fn list(State(door): State<Door>, _: Viewer) -> Result<Json<Value>, Response> {
    let listed = door.shared.store.accounts().await.map_err(conflict)?;
    let unreadable: Vec<_> = listed.unreadable.iter().map(ToString::to_string).collect();
    Ok(Json(
        json!({ "accounts": listed.rows, "unreadable": unreadable }),
    ))
}

async fn show(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Viewer,
) -> Result<Json<Account>, Response> {
    let found = door.shared.store.account(&account).await;
    found.map(Json).map_err(conflict)
}

async fn add(State(door): State<Door>, _: Operator, mut body: Body) -> Result<Response, Response> {
    let name = body.needed("name");
    let network = body.text("network").unwrap_or_else(|| "mainnet".to_owned());
    let user = body.text("user").unwrap_or_else(|| "local".to_owned());
    let credentials = credentials::given(&mut body);
    let known = &door.shared.networks;
    if !known.contains_key(&network) {
        let mut known: Vec<_> = known.keys().map(String::as_str).collect();
        known.sort_unstable();
        let known = known.join(", ");
        body.refuse(
            "network",
            format!("it is not configured; known are {known}"),
        );
    }
    body.end()?;
    let new = NewAccount {
        user_id: UserId::new(user),
        name,
        network,
        credentials,
    };
    let added = door.shared.store.add_account(new, door.shared.clock.utc());
    let added = added.await;
    let account = added.map_err(|error| not_stored(&error, StatusCode::BAD_REQUEST))?;
    let answer = done(&door, "account.add", account, true).await;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn enable(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    body: Body,
) -> Answer {
    set_active(&door, &account, true, body).await
}

async fn disable(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    body: Body,
) -> Answer {
    set_active(&door, &account, false, body).await
}

async fn set_active(door: &Door, account: &str, active: bool, body: Body) -> Answer {
    body.end()?;
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let before = store.account(account).await.map_err(conflict)?;
    let set = store.set_account_active(before.id.as_str(), active, now);
    let account = set.await.map_err(conflict)?;
    let verb = if active {
        "account.enable"
    } else {
        "account.disable"
    };
    let changed = before.is_active != active;
    Ok(Json(done(door, verb, account, changed).await))
}

async fn pause(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    mut body: Body,
) -> Answer {
    let reason = body.text("reason");
    body.end()?;
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let id = store.account(&account).await.map_err(conflict)?.id;
    let paused = store.pause_account(&id, reason, OPERATOR, now).await;
    let changed = paused.map_err(conflict)?;
    obeyed(&door).await?;
    let account = store.account(id.as_str()).await.map_err(conflict)?;
    Ok(Json(done(&door, "account.pause", account, changed).await))
}

async fn resume(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    body: Body,
) -> Answer {
    body.end()?;
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let id = store.account(&account).await.map_err(conflict)?.id;
    let resumed = store.resume_account(&id, now).await;
    let changed = resumed.map_err(conflict)?;
    obeyed(&door).await?;
    let account = store.account(id.as_str()).await.map_err(conflict)?;
    Ok(Json(done(&door, "account.resume", account, changed).await))
}

async fn restart(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    body: Body,
) -> Result<Json<RestartAnswer>, Response> {
    body.end()?;
    let account = door.shared.store.account(&account).await;
    let account = account.map_err(conflict)?;
    told("account.restart", &account);
    match restarted(&door, &account).await {
        Ok(restarted) => Ok(Json(RestartAnswer::of(account, restarted))),
        Err(refused) => {
            let status = match refused {
                RestartRefused::Unknown(_) => StatusCode::NOT_FOUND,
                RestartRefused::Store(_) | RestartRefused::Stopping => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::CONFLICT,
            };
            Err(refusal(status, refused))
        }
    }
}

/// Restarts an account.
pub(super) async fn restarted(door: &Door, account: &Account) -> Result<Restarted, RestartRefused> {
    let asked = RestartAccount(account.id.clone());
    let answer = door.shared.supervisor.ask(asked).await;
    answer.unwrap_or(Err(RestartRefused::Stopping))
}

/// Whether an account is removed although it has positions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Insistence {
    #[serde(default)]
    force: bool,
}

async fn remove(
    State(door): State<Door>,
    Path(account): Path<String>,
    Query(insistence): Query<Insistence>,
    _: Operator,
) -> Answer {
    let store = &door.shared.store;
    let account = store.account(&account).await.map_err(conflict)?;
    if !insistence.force
        && let Some(objection) = objection(&door, &account)
    {
        return Err(refusal(StatusCode::CONFLICT, objection));
    }
    store.remove_account(&account.id).await.map_err(conflict)?;
    Ok(Json(done(&door, "account.remove", account, true).await))
}

/// What speaks against removing an account that is served.
fn objection(door: &Door, account: &Account) -> Option<StoreError> {
    let accounts = door.shared.accounts.load();
    let view = accounts.get(&account.id)?.view.load();
    let name = &account.name;
    let has = match (view.read_at, view.rows.len()) {
        (Some(_), 0) => return None,
        (Some(_), 1) => "a position that runs, which nobody would watch any more".to_owned(),
        (Some(_), many) => format!("{many} positions that run, which nobody would watch any more"),
        (None, _) => "positions that are not known, as they were not read yet".to_owned(),
    };
    Some(StoreError::Refused(format!(
        "account {name} has {has}: close them, or disable the account first, or force its removal, \
         which leaves them as they are"
    )))
}

/// What a verb came to, once the service follows.
pub(super) async fn done(
    door: &Door,
    verb: &str,
    account: Account,
    changed: bool,
) -> AccountAnswer {
    told(verb, &account);
    AccountAnswer {
        account,
        changed,
        in_effect: follows(door).await,
    }
}

pub(super) fn told(verb: &str, account: &Account) {
    tracing::info!(
        event = "operator.acted", verb, account_id = %account.id, account_name = account.name
    );
}
