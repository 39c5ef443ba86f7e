//! `/healthz` and `/readyz`, for service managers: open to everybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::door::Door;
use super::report::{QueueReport, unread};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

/// Whoever may ask this may not know more of the queue than its state: causes name servers.
async fn alive(State(door): State<Door>) -> String {
    let queue = QueueReport::of(&door.shared);
    format!("alive\njobs: {}\n", queue.state)
}

async fn ready(State(door): State<Door>) -> Response {
    let (waiting, queue) = (unread(&door.shared), QueueReport::of(&door.shared));
    let status = if waiting.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({
            "ready": waiting.is_empty(), "waiting_for": waiting.len(), "jobs": queue.state,
        })),
    )
        .into_response()
}
