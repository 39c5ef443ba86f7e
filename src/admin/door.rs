//! Who may ask what: a request is let in by the token that it bears.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::access::Access;
use crate::actors::Shared;

/// What every request is served with.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) access: Arc<Access>,
}

/// Whoever bears the token. A route that takes one is closed to everybody else.
pub(super) struct Operator;

impl FromRequestParts<Door> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        let authorization = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if authorization.is_some_and(|value| door.access.admits(value)) {
            return Ok(Self);
        }
        let error = "a bearer token is needed; it is in admin.json of the data folder";
        Err(refusal(StatusCode::UNAUTHORIZED, error))
    }
}

/// An answer that says why there is no other.
pub(super) fn refusal(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (status, Json(json!({ "error": error.to_string() }))).into_response()
}
