//! `/v1/kill-switches`: what is held back, from the moment of the answer on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::Body;
use super::{conflict, obeyed};
use crate::admin::door::{Door, Operator, Path, Viewer, refusal};
use crate::domain::ids::AutomationId;
use crate::domain::kill_switch::Reach;
use crate::domain::text;

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/kill-switches", get(list))
        .route(
            "/v1/kill-switches/service",
            put(on_for_all).delete(off_for_all),
        )
        .route(
            "/v1/kill-switches/account/{account}",
            put(on_for_account).delete(off_for_account),
        )
        .route(
            "/v1/kill-switches/automation/{automation}",
            put(on_for_automation).delete(off_for_automation),
        )
}

type Answer = Result<Json<KillSwitchAnswer>, Response>;

/// A kill switch that was put on or taken off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillSwitchAnswer {
    /// Whether it is on now.
    pub on: bool,
    /// What it is for.
    pub reach: Reach,
}

async fn list(State(door): State<Door>, _: Viewer) -> Result<Json<Value>, Response> {
    let listed = door.shared.store.kill_switches().await.map_err(conflict)?;
    let unreadable: Vec<_> = listed.unreadable.iter().map(ToString::to_string).collect();
    Ok(Json(
        json!({ "killSwitches": listed.rows, "unreadable": unreadable }),
    ))
}

async fn on_for_all(State(door): State<Door>, _: Operator, body: Body) -> Response {
    on(&door, Reach::Service, body).await.into_response()
}

async fn on_for_account(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
    body: Body,
) -> Response {
    match of_account(&door, &account).await {
        Ok(reach) => on(&door, reach, body).await.into_response(),
        Err(refused) => refused,
    }
}

async fn on_for_automation(
    State(door): State<Door>,
    Path(automation): Path<String>,
    _: Operator,
    body: Body,
) -> Response {
    let reach = Reach::Automation(AutomationId::new(automation));
    on(&door, reach, body).await.into_response()
}

async fn off_for_all(State(door): State<Door>, _: Operator) -> Response {
    off(&door, Reach::Service).await.into_response()
}

async fn off_for_account(
    State(door): State<Door>,
    Path(account): Path<String>,
    _: Operator,
) -> Response {
    match of_account(&door, &account).await {
        Ok(reach) => off(&door, reach).await.into_response(),
        Err(refused) => refused,
    }
}

async fn off_for_automation(
    State(door): State<Door>,
    Path(automation): Path<String>,
    _: Operator,
) -> Response {
    let reach = Reach::Automation(AutomationId::new(automation));
    off(&door, reach).await.into_response()
}

async fn of_account(door: &Door, account: &str) -> Result<Reach, Response> {
    let account = door.shared.store.account(account).await.map_err(conflict)?;
    Ok(Reach::Account(account.id))
}

async fn on(door: &Door, reach: Reach, mut body: Body) -> Answer {
    let allows_protective = body.flag("allowsProtective", false);
    let reason = text::reason(body.text("reason"));
    body.end()?;
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    store
        .kill_switch_on(&reach, allows_protective, reason.clone(), now)
        .await
        .map_err(conflict)?;
    obeyed(door).await?;
    tracing::warn!(
        event = "operator.acted", verb = "kill_switch.on", subject = %reach, allows_protective,
        reason
    );
    Ok(Json(KillSwitchAnswer { on: true, reach }))
}

async fn off(door: &Door, reach: Reach) -> Answer {
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let was_on = store.kill_switch_off(&reach, now).await;
    if !was_on.map_err(conflict)? {
        let error = format!(
            "no kill switch is on for {reach}: `vigia kill-switch list` shows those that are"
        );
        return Err(refusal(StatusCode::NOT_FOUND, error));
    }
    obeyed(door).await?;
    tracing::warn!(event = "operator.acted", verb = "kill_switch.off", subject = %reach);
    Ok(Json(KillSwitchAnswer { on: false, reach }))
}
