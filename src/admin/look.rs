//! What can be looked at by whoever bears the token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::door::{Door, Operator, refusal};
use super::report::StatusReport;

pub(super) fn routes() -> Router<Door> {
    Router::new().route("/v1/status", get(status))
}

async fn status(State(door): State<Door>, _: Operator) -> Response {
    match StatusReport::of(&door.shared).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => refusal(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}
