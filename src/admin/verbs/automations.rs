//! `/v1/automations`: the rules of accounts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::{AutomationAnswer, conflict, follows};
use crate::admin::door::{Door, Operator, Path, Query, Refused, Viewer};
use crate::domain::ids::{AccountId, AutomationId};
use crate::domain::rules::{Rule, RuleKind};
use crate::store::{Automation, NewAutomation};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/automations", get(list).post(add))
        .route("/v1/automations/{automation}", get(show).delete(remove))
        .route("/v1/automations/{automation}/enable", post(enable))
        .route("/v1/automations/{automation}/disable", post(disable))
}

type Answer = Result<Json<AutomationAnswer>, Response>;

/// Which automations are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    /// Those of this account, by its name or id.
    account: Option<String>,
}

async fn list(
    State(door): State<Door>,
    _: Viewer,
    Query(of): Query<Of>,
) -> Result<Json<Value>, Response> {
    let store = &door.shared.store;
    let account = match &of.account {
        Some(account) => Some(store.account(account).await.map_err(conflict)?.id),
        None => None,
    };
    let listed = store
        .automations(account.as_ref())
        .await
        .map_err(conflict)?;
    let unreadable: Vec<_> = listed.unreadable.iter().map(ToString::to_string).collect();
    Ok(Json(
        json!({ "automations": listed.rows, "unreadable": unreadable }),
    ))
}

async fn show(
    State(door): State<Door>,
    Path(automation): Path<String>,
    _: Viewer,
) -> Result<Json<Automation>, Response> {
    let id = AutomationId::new(automation);
    let found = door.shared.store.automation(&id).await;
    found.map(Json).map_err(conflict)
}

async fn add(State(door): State<Door>, _: Operator, body: Body) -> Result<Response, Response> {
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let (account, new) = understood(body)?;
    let account = store.account(&account).await.map_err(conflict)?;
    let new = NewAutomation {
        account: account.id,
        ..new
    };
    let automation = store.add_automation(new, now).await.map_err(conflict)?;
    told(&door, "automation.add", &automation).await;
    let answer = AutomationAnswer {
        automation,
        changed: true,
        in_effect: follows(&door).await,
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Reads an automation and the name or id of its account.
fn understood(mut body: Body) -> Result<(String, NewAutomation), Refused> {
    let account = body.needed("account");
    let kind = body.needed("type");
    let config = body.value("config");
    let live = body.flag("live", true);
    let active = body.flag("enabled", true);
    let kind = match kind.parse::<RuleKind>() {
        Ok(kind) => {
            if let Err(errors) = Rule::parse(kind, &config)
                && !config.is_null()
            {
                body.refuse_rule("config", &errors);
            }
            kind
        }
        Err(problem) => {
            if !kind.is_empty() {
                body.refuse("type", problem);
            }
            RuleKind::MarginGuard
        }
    };
    body.end()?;
    let new = NewAutomation {
        account: AccountId::new(&account),
        kind,
        config,
        live,
        active,
    };
    Ok((account, new))
}

async fn enable(
    State(door): State<Door>,
    Path(automation): Path<String>,
    _: Operator,
    body: Body,
) -> Answer {
    set_active(&door, automation, true, body).await
}

async fn disable(
    State(door): State<Door>,
    Path(automation): Path<String>,
    _: Operator,
    body: Body,
) -> Answer {
    set_active(&door, automation, false, body).await
}

async fn set_active(door: &Door, automation: String, active: bool, body: Body) -> Answer {
    body.end()?;
    let (store, now) = (&door.shared.store, door.shared.clock.utc());
    let id = AutomationId::new(automation);
    let before = store.automation(&id).await.map_err(conflict)?;
    let set = store.set_automation_active(&id, active, now).await;
    set.map_err(conflict)?;
    let verb = if active {
        "automation.enable"
    } else {
        "automation.disable"
    };
    told(door, verb, &before).await;
    Ok(Json(AutomationAnswer {
        changed: before.is_active != active,
        automation: Automation {
            is_active: active,
            updated_at: now,
            ..before
        },
        in_effect: follows(door).await,
    }))
}

async fn remove(State(door): State<Door>, Path(automation): Path<String>, _: Operator) -> Answer {
    let store = &door.shared.store;
    let id = AutomationId::new(automation);
    let automation = store.automation(&id).await.map_err(conflict)?;
    store.remove_automation(&id).await.map_err(conflict)?;
    told(&door, "automation.remove", &automation).await;
    Ok(Json(AutomationAnswer {
        automation,
        changed: true,
        in_effect: follows(&door).await,
    }))
}

async fn told(door: &Door, verb: &str, automation: &Automation) {
    let account = door.shared.store.account(automation.account_id.as_str());
    let account_name = account.await.map(|account| account.name).ok();
    tracing::info!(
        event = "operator.acted", verb, account_id = %automation.account_id, account_name,
        automation = %automation.id
    );
}
