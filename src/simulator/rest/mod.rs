//! REST v3.
//!
//! Checks come in the exchange's order: rate limit, credentials, scope, engine, validation.

mod body;
mod cross;
mod error;
mod isolated;
mod market;
mod page;
mod routes;
mod wallet;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, Method, Response, Uri, header};
use futures_util::stream;
use serde_json::Value;

use super::auth;
use super::clock::http_date;
use super::engine::{Cause, Engine};
use super::faults::{Fault, Place};
use super::world::{World, lock};

pub(super) use body::parse;
pub(super) use error::ApiError;
use routes::{Access, Route};

/// A request whose body was read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) ip: IpAddr,
}

/// What becomes of the connection.
pub(super) enum Reply {
    Answer(Response<Body>),
    /// The TCP connection is closed instead.
    Kill,
    /// Nothing, ever.
    Silence,
}

/// What a route's handler is given.
pub(super) struct Call<'a> {
    pub(super) world: &'a World,
    /// The account's key; empty on public routes.
    pub(super) key: &'a str,
    pub(super) query: HashMap<String, String>,
    pub(super) body: &'a [u8],
    request_timestamp: Option<i64>,
}

impl Call<'_> {
    /// Until when lists of what has ended reach.
    pub(super) fn shown_until(&self, engine: &Engine) -> i64 {
        let lag = i64::try_from(engine.choices.closed_lag.as_millis()).unwrap_or(i64::MAX);
        if lag == 0 {
            // Ends are dated a millisecond apart, which may be ahead of the clock.
            return i64::MAX;
        }
        self.world.now_ms().saturating_sub(lag)
    }

    /// The cause of a change, at `now`.
    pub(super) fn cause(&self, now: i64) -> Cause {
        Cause {
            now,
            request_timestamp: self.request_timestamp,
        }
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn place(&self) -> Place<'_> {
        Place {
            key: self.header("lnm-access-key"),
            path: Some(self.uri.path()),
            method: Some(self.method.as_str()),
            topic: None,
        }
    }
}

/// Answers a request, with whatever faults apply to it.
pub(super) async fn answer(world: Arc<World>, request: Request) -> Reply {
    let route = routes::find(&request.method, request.uri.path());
    let path = request
        .uri
        .path()
        .strip_prefix("/v3")
        .unwrap_or(request.uri.path());
    // Unknown paths are counted as one: a scanner must not grow the table.
    let label = route.map_or("unknown", |route| route.path);
    world.count_request(match label {
        "unknown" => label.to_owned(),
        _ => format!("{} {path}", request.method),
    });
    let late = world.take_fault(request.place(), |fault| {
        matches!(fault, Fault::DelayRequest { .. })
    });
    let Some(Fault::DelayRequest { ms }) = late else {
        return carry_out(&world, route, &request).await;
    };
    // Carried out in a task of its own: that the client hangs up does not stop it.
    let (done, reply) = tokio::sync::oneshot::channel();
    let shared = Arc::clone(&world);
    world.run_late(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let _ = done.send(carry_out(&shared, route, &request).await);
    });
    reply.await.unwrap_or(Reply::Kill)
}

async fn carry_out(world: &World, route: Option<&Route>, request: &Request) -> Reply {
    let place = request.place();
    let fault = world.take_fault(place, Fault::decides_reply);
    match &fault {
        Some(Fault::DropRequest) => return Reply::Kill,
        Some(Fault::Hang { apply: false }) => return Reply::Silence,
        Some(Fault::Status {
            status,
            code,
            retry_after,
            plain,
        }) => {
            let error = ApiError::injected(*status, code.as_deref(), *retry_after, *plain);
            return finish(world, error.into_response());
        }
        _ => {}
    }
    let mut result = process(world, route, request);
    let garbled = world.take_fault(place, |fault| {
        matches!(fault, Fault::UnreadableTrade { .. })
    });
    if let (Ok(list), Some(Fault::UnreadableTrade { id })) = (&mut result, garbled) {
        garble(list, &id);
    }
    if let Some(Fault::DelayReply { ms }) =
        world.take_fault(place, |fault| matches!(fault, Fault::DelayReply { .. }))
    {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    match fault {
        Some(Fault::LoseReply) => return Reply::Kill,
        Some(Fault::Hang { .. }) => return Reply::Silence,
        Some(Fault::TruncateBody) => return finish(world, truncated(&text_of(&result))),
        Some(Fault::MalformedBody) => {
            let text = text_of(&result);
            let broken = format!("{}<html>", &text[..text.len() / 2]);
            return finish(world, json_response(200, broken.into()));
        }
        _ => {}
    }
    finish(
        world,
        match result {
            Ok(value) => json_response(200, value.to_string().into()),
            Err(error) => error.into_response(),
        },
    )
}

fn process(world: &World, route: Option<&Route>, request: &Request) -> Result<Value, ApiError> {
    let Some(route) = route else {
        return Err(ApiError::unknown_route());
    };
    let now = world.clock.elapsed();
    let key = request.header("lnm-access-key").unwrap_or_default();
    if let Access::Scope(_) = route.access {
        world.count_request_of(key);
    }
    let waited = match route.access {
        Access::Public => lock(&world.limiter).take_ip(request.ip, now),
        Access::Scope(_) => lock(&world.limiter).take_key(key, now),
    };
    waited.map_err(ApiError::too_many)?;
    let mut request_timestamp = None;
    let mut of = key.to_owned();
    if let Access::Scope(scope) = route.access {
        let timestamp;
        (timestamp, of) = authenticate(world, request, key)?;
        request_timestamp = Some(timestamp);
        let engine = lock(&world.engine);
        if !engine
            .accounts
            .get(&of)
            .is_some_and(|account| account.may(scope))
        {
            return Err(ApiError::forbidden(&format!(
                "The key lacks the scope {scope}"
            )));
        }
    }
    let place = request.place();
    if world.is_restarting()
        || world
            .take_fault(place, |fault| *fault == Fault::EngineUnavailable)
            .is_some()
    {
        return Err(ApiError::unavailable());
    }
    check_content(request)?;
    let query = Query::<HashMap<String, String>>::try_from_uri(&request.uri)
        .map_err(|problem| ApiError::bad("query", problem.to_string()))?
        .0;
    let body = &request.body;
    (route.handler)(&Call {
        world,
        key: &of,
        query,
        body,
        request_timestamp,
    })
}

/// A body and its content type come together, and only with POST and PUT.
fn check_content(request: &Request) -> Result<(), ApiError> {
    let with_body = [Method::POST, Method::PUT].contains(&request.method);
    let content_type = request
        .header(header::CONTENT_TYPE.as_str())
        .unwrap_or_default();
    let is_json = content_type.starts_with("application/json");
    match (with_body, request.body.is_empty()) {
        (false, false) => Err(ApiError::bad("body", "this method takes no body")),
        (_, true) if is_json => Err(ApiError::bad("content-type", "JSON announced, body empty")),
        (true, false) if !is_json => Err(ApiError::bad("content-type", "must be application/json")),
        _ => Ok(()),
    }
}

/// Checks the four headers; answers the signed timestamp and the account, by its first key.
fn authenticate(world: &World, request: &Request, key: &str) -> Result<(i64, String), ApiError> {
    if world.has_fault(request.place(), |fault| *fault == Fault::GeoBlock) {
        return Err(ApiError::forbidden("Not available in your region"));
    }
    let denied = || ApiError::unauthorized("Unauthorized");
    let header = |name| request.header(name).ok_or_else(denied);
    let (time, phrase) = (
        header("lnm-access-timestamp")?,
        header("lnm-access-passphrase")?,
    );
    let signature = header("lnm-access-signature")?;
    let timestamp: i64 = time.parse().map_err(|_| denied())?;
    let with_body = [Method::POST, Method::PUT].contains(&request.method);
    let query = request
        .uri
        .query()
        // A question mark with nothing behind it is no query, as JavaScript has it.
        .filter(|query| !query.is_empty())
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let data = if with_body {
        request.body.as_ref()
    } else {
        query.as_bytes()
    };
    let tolerance = world.settings.protocol.rest_timestamp;
    if !auth::is_fresh(timestamp, world.now_ms(), tolerance) {
        return Err(ApiError::unauthorized("Timestamp outside the window"));
    }
    if world.settings.strict_json && with_body && !auth::is_canonical_json(data) {
        return Err(denied());
    }
    let engine = lock(&world.engine);
    let key = engine.key(key).ok_or_else(denied)?;
    let (method, path) = (request.method.as_str(), request.uri.path());
    let signed = auth::verify_rest(key.secret, time, method, path, data, signature);
    let revoked =
        key.revoked || world.has_fault(request.place(), |fault| *fault == Fault::RevokedKey);
    if signed && auth::same_text(key.passphrase, phrase) && !revoked {
        Ok((timestamp, key.account.to_owned()))
    } else {
        Err(denied())
    }
}

/// Puts one trade of a list on a side that there is not.
fn garble(list: &mut Value, id: &str) {
    let trades = list.as_array_mut().into_iter().flatten();
    for trade in trades.filter(|trade| trade["id"] == id) {
        trade["side"] = Value::from("sideways");
    }
}

fn text_of(result: &Result<Value, ApiError>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => error.body(),
    }
}

pub(super) fn json_response(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

/// A response that promises more bytes than it sends, and then breaks off.
fn truncated(text: &str) -> Response<Body> {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let body = stream::unfold(Some(half), |half| async move {
        if half.is_none() {
            // Let the half reach the client before the connection breaks.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let item = half.ok_or_else(|| std::io::Error::other("broken off"));
        Some((item, None))
    });
    let mut response = json_response(200, Body::from_stream(body));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, text.len().into());
    response
}

/// Counts the answer and dates it by the exchange's own clock.
fn finish(world: &World, mut response: Response<Body>) -> Reply {
    world.count_status(response.status().as_u16());
    if let Ok(date) = http_date(world.now_ms()).parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    Reply::Answer(response)
}
