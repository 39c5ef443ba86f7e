//! Error answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

use super::json_response;
use crate::simulator::engine::Refusal;

/// An answer other than 200.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct ApiError {
    status: u16,
    code: String,
    message: String,
    details: Option<Value>,
    /// Seconds.
    retry_after: Option<f64>,
    /// Plain text instead of JSON.
    plain: bool,
}

impl ApiError {
    fn new(status: u16, code: &str, message: &str) -> Self {
        ApiError {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            details: None,
            retry_after: None,
            plain: false,
        }
    }

    /// 400 that names the field.
    pub(in crate::simulator) fn bad(field: &str, message: impl Into<String>) -> Self {
        let mut error = ApiError::new(400, "BAD_REQUEST", &message.into());
        error.details = Some(json!({ "field": field }));
        error
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        ApiError::new(401, "UNAUTHORIZED", message)
    }

    pub(super) fn forbidden(message: &str) -> Self {
        ApiError::new(403, "FORBIDDEN", message)
    }

    pub(super) fn unavailable() -> Self {
        let message = "The trading engine is temporarily unavailable";
        ApiError::new(503, "SERVICE_UNAVAILABLE", message)
    }

    /// 429; the wait is given in whole seconds, rounded up.
    pub(super) fn too_many(wait: Duration) -> Self {
        let mut error = ApiError::new(429, "TOO_MANY_REQUESTS", "Too many requests");
        error.retry_after = Some(wait.as_secs_f64().ceil().max(1.0));
        error
    }

    pub(in crate::simulator) fn unknown_route() -> Self {
        let mut error = ApiError::new(404, "NOT_FOUND", "Not found");
        error.plain = true;
        error
    }

    pub(super) fn injected(
        status: u16,
        code: Option<&str>,
        retry_after: Option<f64>,
        plain: bool,
    ) -> Self {
        let code = code.unwrap_or(match status {
            400 => "BAD_REQUEST",
            401 => "UNAUTHORIZED",
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            429 => "TOO_MANY_REQUESTS",
            502 => "BAD_GATEWAY",
            503 => "SERVICE_UNAVAILABLE",
            504 => "GATEWAY_TIMEOUT",
            _ => "INTERNAL_SERVER_ERROR",
        });
        let message = if plain { "Not found" } else { "Injected" };
        let mut error = ApiError::new(status, code, message);
        error.retry_after = retry_after;
        error.plain = plain;
        error
    }

    pub(super) fn body(&self) -> String {
        if self.plain {
            return self.message.clone();
        }
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body.to_string()
    }

    pub(in crate::simulator) fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, self.body().into());
        let headers = response.headers_mut();
        if self.plain {
            let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, text);
        }
        if let Some(Ok(seconds)) = self.retry_after.map(|seconds| seconds.to_string().parse()) {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rule(message, Some(field)) => ApiError::bad(field, message),
            Refusal::Rule(message, None) => ApiError::new(400, "BAD_REQUEST", &message),
            Refusal::WrongState(message, status) => {
                let code = match status {
                    404 => "NOT_FOUND",
                    409 => "CONFLICT",
                    _ => "BAD_REQUEST",
                };
                ApiError::new(status, code, &message)
            }
            Refusal::UnknownTrade => ApiError::new(404, "NOT_FOUND", "Not found"),
        }
    }
}
