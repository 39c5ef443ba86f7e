//! The body of a request: a JSON object, read field by field. All that is wrong with it is told at
//! once, by field, and nothing of it is repeated: it may hold secrets.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::zeroize::Zeroize;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::admin::BODY_MOST;
use crate::admin::door::{Door, Refused, refusal};
use crate::domain::rules::FieldError;

/// A body that has not come by then does not come.
const COMES_WITHIN: Duration = Duration::from_secs(10);

/// What is wrong with one field.
#[derive(Serialize)]
struct Wrong {
    field: String,
    problem: String,
}

/// A request's object, with what was found wrong with it so far. No body is an empty object.
pub(super) struct Body {
    fields: Map<String, Value>,
    known: Vec<&'static str>,
    wrong: Vec<Wrong>,
}

impl FromRequest<Door> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, door: &Door) -> Result<Self, Response> {
        let coming = Bytes::from_request(request, door);
        let Ok(came) = tokio::time::timeout(COMES_WITHIN, coming).await else {
            let error = format!("the body did not come within {} s", COMES_WITHIN.as_secs());
            return Err(refusal(StatusCode::REQUEST_TIMEOUT, error));
        };
        let bytes = came.map_err(|rejected| match rejected.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let error = format!("the body is longer than {BODY_MOST} bytes");
                refusal(StatusCode::PAYLOAD_TOO_LARGE, error)
            }
            status => refusal(status, rejected.body_text()),
        })?;
        let body = Self::parse(&bytes);
        if let Ok(mut bytes) = bytes.try_into_mut() {
            bytes.zeroize();
        }
        Ok(body?)
    }
}

impl Body {
    fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let blank = bytes.iter().all(u8::is_ascii_whitespace);
        let parsed = if blank {
            Ok(Map::new())
        } else {
            serde_json::from_slice(bytes)
        };
        let fields = parsed.map_err(|error: serde_json::Error| {
            // The error's own text may repeat what it could not read.
            let (line, column) = (error.line(), error.column());
            let error = format!(
                "the body is no JSON object that can be read, line {line}, column {column}"
            );
            Refused::from(refusal(StatusCode::BAD_REQUEST, error))
        })?;
        Ok(Self {
            fields,
            known: vec![],
            wrong: vec![],
        })
    }

    /// Takes a field out; JSON null counts as absent.
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    /// How much was found wrong so far.
    pub(super) fn problems(&self) -> usize {
        self.wrong.len()
    }

    pub(super) fn refuse(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.wrong.push(Wrong {
            field: field.into(),
            problem: problem.into(),
        });
    }

    /// A field of any kind that must be there.
    pub(super) fn value(&mut self, field: &'static str) -> Value {
        self.take(field).unwrap_or_else(|| {
            self.refuse(field, "it is missing");
            Value::Null
        })
    }

    /// A text that may be absent.
    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.refuse(field, "it must be a text");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, field: &'static str) -> String {
        let wrong = self.wrong.len();
        self.text(field).unwrap_or_else(|| {
            if self.wrong.len() == wrong {
                self.refuse(field, "it is missing");
            }
            String::new()
        })
    }

    /// True or false, or what it is where it is absent.
    pub(super) fn flag(&mut self, field: &'static str, absent: bool) -> bool {
        match self.take(field) {
            None => absent,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.refuse(field, "it must be true or false");
                absent
            }
        }
    }

    /// What is wrong with a rule is wrong with this field.
    pub(super) fn refuse_rule(&mut self, field: &str, errors: &[FieldError]) {
        for error in errors {
            self.refuse(format!("{field}.{}", error.field), error.to_string());
        }
    }

    /// Ends the reading: unknown fields are errors too.
    pub(super) fn end(mut self) -> Result<(), Refused> {
        let unknown: Vec<_> = self.fields.keys().cloned().collect();
        for field in unknown {
            let known = match self.known.as_slice() {
                [] => "none is".to_owned(),
                known => format!("known are {}", known.join(", ")),
            };
            self.refuse(field, format!("it is not known; {known}"));
        }
        if self.wrong.is_empty() {
            return Ok(());
        }
        let told = |wrong: &Wrong| format!("{}: {}", wrong.field, wrong.problem);
        let error: Vec<_> = self.wrong.iter().map(told).collect();
        let body = json!({ "error": error.join("; "), "errors": self.wrong });
        Err((StatusCode::BAD_REQUEST, Json(body)).into_response().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_by_field_and_no_value_is_repeated() {
        let body = br#"{"name": 7, "live": "hunter2", "hunter": "hunter2", "secret": ["hunter2"]}"#;
        let mut body = Body::parse(body).unwrap();
        body.needed("name");
        body.needed("account");
        body.needed("secret");
        body.flag("live", true);
        body.value("config");
        let wrong: Vec<_> = body.wrong.iter().map(|wrong| wrong.field.clone()).collect();
        assert_eq!(wrong, ["name", "account", "secret", "live", "config"]);
        let told: Vec<_> = body.wrong.iter().map(|wrong| &*wrong.problem).collect();
        assert!(!told.join(" ").contains("hunter2"));
        assert_eq!(body.end().unwrap_err().0.status(), 400);

        for none in ["", " \n", "{}", r#"{"reason": null}"#] {
            let mut body = Body::parse(none.as_bytes()).unwrap();
            assert_eq!(body.text("reason"), None);
            assert!(body.end().is_ok(), "{none}");
        }
        for bad in ["[]", "7", "{", "\"hunter2\"", "{} {}"] {
            assert!(Body::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
