//! What can be looked at by whoever bears a token.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::door::{Door, Query, Viewer};
use super::report::{Choice, StatusReport};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/tree", get(tree))
}

async fn status(State(door): State<Door>, _: Viewer) -> Response {
    Json(StatusReport::of(&door.shared, &Choice::all()).await).into_response()
}

/// The same, of those accounts that somebody should look at: `?all=true`, `?account=NAME`.
async fn tree(State(door): State<Door>, _: Viewer, Query(choice): Query<Choice>) -> Response {
    Json(StatusReport::of(&door.shared, &choice).await).into_response()
}
