//! `/healthz` and `/readyz`, for service managers: open to everybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::door::Door;
use super::report::{JournalReport, QueueReport};
use crate::actors::Readiness;
use crate::supervision::Progress;

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

/// Whoever may ask this may not know more of queue and journal than their state: causes name servers.
async fn alive(State(door): State<Door>) -> Response {
    let (status, told) = told(&door.shared.progress, "alive");
    let queue = QueueReport::of(&door.shared);
    let journal = JournalReport::of(&door.shared);
    let told = format!("{told}jobs: {}\njournal: {}\n", queue.state, journal.state);
    (status, told).into_response()
}

/// Whether every part gets on; if not, which do not.
pub(super) fn told(progress: &Progress, alive: &str) -> (StatusCode, String) {
    let late = progress.late();
    if late.is_empty() {
        return (StatusCode::OK, format!("{alive}\n"));
    }
    let lines = late.iter().map(|late| format!("no progress: {late}\n"));
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
}

/// In numbers: whoever may ask this may not know the names.
async fn ready(State(door): State<Door>) -> Response {
    let (readiness, queue) = (Readiness::of(&door.shared), QueueReport::of(&door.shared));
    let ready = readiness.is_complete() && door.shared.progress.late().is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let Readiness {
        store_read: _,
        accounts,
        waiting,
        live,
        unauthorized,
        blocked,
        quarantined,
        unusable,
        unusable_rows,
    } = readiness;
    let report = json!({
        "ready": ready, "waiting_for": waiting, "accounts": accounts, "live": live,
        "unauthorized": unauthorized, "blocked": blocked, "quarantined": quarantined,
        "unusable": unusable, "unusable_rows": unusable_rows, "jobs": queue.state,
        "journal": JournalReport::of(&door.shared).state,
    });
    (status, Json(report)).into_response()
}
