//! Who may ask what: a request is let in by the token that it bears.

use std::sync::Arc;

use axum::Json;
use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::tokens::{Role, Tokens};
use crate::actors::Shared;

/// What every request is served with.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) tokens: Arc<Tokens>,
}

/// Whoever may look: bears the viewer's token or an operator's. A route that takes one is closed to
/// everybody else.
pub(super) struct Viewer;

/// Whoever may act: bears an operator's token. A route that takes one is closed to everybody else.
pub(super) struct Operator;

impl FromRequestParts<Door> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        admitted(parts, door)?;
        Ok(Self)
    }
}

impl FromRequestParts<Door> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        match admitted(parts, door)? {
            Role::Operator => Ok(Self),
            Role::Viewer => {
                let error = "the viewer's token looks and does not act: bear the operator's";
                Err(refusal(StatusCode::FORBIDDEN, error))
            }
        }
    }
}

/// What a route's path names. What cannot be read is refused as everything else is, in JSON.
pub(super) struct Path<T>(pub(super) T);

/// What a route is asked for behind the question mark; refused likewise.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Door> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        let read = extract::Path::from_request_parts(parts, door).await;
        read.map(|extract::Path(named)| Self(named))
            .map_err(|rejected| refusal(rejected.status(), rejected.body_text()))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Door> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        let read = extract::Query::from_request_parts(parts, door).await;
        read.map(|extract::Query(asked)| Self(asked))
            .map_err(|rejected| refusal(rejected.status(), rejected.body_text()))
    }
}

fn admitted(parts: &Parts, door: &Door) -> Result<Role, Refused> {
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let role = authorization.and_then(|value| door.tokens.role(value));
    role.ok_or_else(|| {
        let error = "a bearer token is needed; the operator's is in admin.json of the data folder";
        let mut answer = refusal(StatusCode::UNAUTHORIZED, error);
        let scheme = HeaderValue::from_static("Bearer");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
        answer.into()
    })
}

/// An answer that says why there is no other, on its way there.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Box<Response>);

impl From<Response> for Refused {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        *refused.0
    }
}

/// An answer that says why there is no other.
pub(super) fn refusal(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (status, Json(json!({ "error": error.to_string() }))).into_response()
}
