//! The eight methods and their envelope.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::topic::Topic;
use crate::simulator::auth;
use crate::simulator::faults::{Fault, Place};
use crate::simulator::limits::{Limit, Window};
use crate::simulator::world::{World, lock};

/// An error answer: number, name, and what else `data` holds.
struct RpcError {
    code: i64,
    name: &'static str,
    message: String,
    detail: Option<Value>,
}

fn error<T>(code: i64, name: &'static str, message: impl Into<String>) -> Result<T, RpcError> {
    Err(RpcError {
        code,
        name,
        message: message.into(),
        detail: None,
    })
}

fn unauthorized<T>(message: &str) -> Result<T, RpcError> {
    error(-32401, "UNAUTHORIZED", message)
}

fn too_many<T>(limit: Limit, wait: Duration, scope: &str) -> Result<T, RpcError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // At least 1: a client that waits for 0 ms would come back into the same window.
    let wait = millis(wait).max(1);
    let detail = json!({
        "limit": limit.count, "windowMs": millis(limit.window), "retryAfterMs": wait,
        "scope": scope,
    });
    Err(RpcError {
        code: -32429,
        name: "TOO_MANY_REQUESTS",
        message: "Too many requests".to_owned(),
        detail: Some(detail),
    })
}

/// One socket as the methods see it.
pub(super) struct Caller {
    pub(super) id: u64,
    pub(super) ip: IpAddr,
    pub(super) window: Window,
}

/// Answers one text frame.
pub(super) fn answer(world: &World, caller: &mut Caller, text: &str) -> String {
    let us_in = world.clock.micros();
    let request: Result<Value, _> = serde_json::from_str(text);
    let id = match &request {
        Ok(Value::Object(fields)) => match fields.get("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            _ => Value::Null,
        },
        _ => Value::Null,
    };
    let limit = world.settings.limits.messages_per_socket;
    let shown_limit = limit.map_or(10, |limit| limit.count);
    let taken = match limit {
        Some(limit) => caller
            .window
            .take(limit, world.clock.elapsed())
            .map_err(|wait| (limit, wait)),
        None => Ok(shown_limit),
    };
    let remaining = taken.unwrap_or(0);
    let outcome = match (taken, request) {
        (Err((limit, wait)), _) => too_many(limit, wait, "messages"),
        (_, Err(problem)) => error(-32700, "PARSE_ERROR", problem.to_string()),
        (_, Ok(request)) => dispatch(world, caller, &request, &id),
    };
    let mut reply = json!({ "jsonrpc": "2.0", "id": id });
    match outcome {
        Ok(result) => reply["result"] = result,
        Err(problem) => {
            let mut data = json!({ "code": problem.name });
            if let Some(detail) = problem.detail {
                // Documented in both places.
                data["retryAfterMs"] = detail["retryAfterMs"].clone();
                data["data"] = detail;
            }
            reply["error"] =
                json!({ "code": problem.code, "message": problem.message, "data": data });
        }
    }
    let us_out = world.clock.micros();
    reply["usIn"] = json!(us_in);
    reply["usOut"] = json!(us_out);
    reply["usDiff"] = json!(us_out - us_in);
    reply["rateLimit"] = json!({ "remaining": remaining, "limit": shown_limit });
    reply.to_string()
}

fn dispatch(
    world: &World,
    caller: &Caller,
    request: &Value,
    id: &Value,
) -> Result<Value, RpcError> {
    let method = request.get("method").and_then(Value::as_str);
    let (Some("2.0"), Some(method), false) = (
        request.get("jsonrpc").and_then(Value::as_str),
        method,
        id.is_null(),
    ) else {
        return error(
            -32600,
            "INVALID_REQUEST",
            "Not a JSON-RPC 2.0 request with an id",
        );
    };
    let params = request.get("params").cloned().unwrap_or(Value::Null);
    match method {
        "hello" => hello(params),
        "ping" => Ok(json!("pong")),
        "time" => Ok(json!({ "time": world.now_ms() })),
        "authenticate" => authenticate(world, caller, params),
        "whoami" => whoami(world, caller),
        "subscribe" => subscribe(world, caller, params),
        "unsubscribe" => unsubscribe(world, caller, params),
        "unsubscribeAll" => Ok(unsubscribed(&lock(&world.hub).unsubscribe(caller.id, None))),
        _ => error(-32601, "METHOD_NOT_FOUND", format!("No method `{method}`")),
    }
}

fn params<T: for<'de> Deserialize<'de>>(params: Value) -> Result<T, RpcError> {
    serde_path_to_error::deserialize(params)
        .or_else(|problem| error(-32602, "INVALID_PARAMS", problem.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    #[serde(rename = "clientName")]
    _name: String,
    #[serde(rename = "clientVersion")]
    _version: String,
}

fn hello(value: Value) -> Result<Value, RpcError> {
    params::<Hello>(value).map(|_| json!({ "version": "1.0.0" }))
}

#[derive(Deserialize)]
struct Login {
    key: String,
    passphrase: String,
    timestamp: i64,
    nonce: String,
    signature: String,
}

fn authenticate(world: &World, caller: &Caller, value: Value) -> Result<Value, RpcError> {
    let now = world.clock.elapsed();
    let taken = lock(&world.limiter).take_authentication(caller.ip, now);
    if let (Err(wait), Some(limit)) = (taken, world.settings.limits.authentications_per_ip) {
        return too_many(limit, wait, "authenticate");
    }
    let login: Login = params(value)?;
    if !(8..=128).contains(&login.nonce.chars().count()) {
        return error(-32602, "INVALID_PARAMS", "nonce: 8 to 128 characters");
    }
    let tolerance = world.settings.protocol.stream_timestamp;
    if !auth::is_fresh(login.timestamp, world.now_ms(), tolerance) {
        return unauthorized("Timestamp outside the window");
    }
    let engine = lock(&world.engine);
    let Some(key) = engine.key(&login.key) else {
        return unauthorized("Unauthorized");
    };
    let signed = auth::verify_stream(key.secret, login.timestamp, &login.nonce, &login.signature);
    let phrase = auth::same_text(key.passphrase, &login.passphrase);
    if !signed || !phrase || key.revoked || is_revoked(world, &login.key) {
        return unauthorized("Unauthorized");
    }
    let place = Place {
        key: Some(&login.key),
        ..Place::default()
    };
    if world.has_fault(place, |fault| *fault == Fault::RefuseLogins) {
        return unauthorized("Unauthorized");
    }
    let account = engine.accounts.get(key.account);
    let permissions = account.map(|account| account.config.permissions.clone());
    let mut hub = lock(&world.hub);
    let nonce = (login.key.clone(), login.timestamp, login.nonce);
    if !hub.use_nonce(nonce, now, world.settings.protocol.nonce) {
        return unauthorized("Nonce already used");
    }
    hub.log_in(caller.id, &login.key);
    Ok(json!({ "authenticated": true, "permissions": permissions }))
}

fn is_revoked(world: &World, key: &str) -> bool {
    let place = Place {
        key: Some(key),
        ..Place::default()
    };
    world.has_fault(place, |fault| *fault == Fault::RevokedKey)
}

/// Key, user and scopes of the socket's session.
fn session(world: &World, caller: &Caller) -> Result<(String, String, Vec<String>), RpcError> {
    let session = lock(&world.hub).session(caller.id);
    let Some(key) = session else {
        return unauthorized("Not authenticated");
    };
    let engine = lock(&world.engine);
    let account = match engine.key(&key) {
        Some(found) if !found.revoked => engine.accounts.get(found.account),
        _ => None,
    };
    match account {
        Some(account) if !is_revoked(world, &key) => Ok((
            key,
            account.user_id.to_string(),
            account.config.permissions.clone(),
        )),
        _ => unauthorized("The key is not valid any more"),
    }
}

fn whoami(world: &World, caller: &Caller) -> Result<Value, RpcError> {
    let (key, user_id, permissions) = session(world, caller)?;
    Ok(json!({ "apiKey": key, "userId": user_id, "permissions": permissions }))
}

#[derive(Deserialize)]
struct Topics {
    topics: Vec<String>,
}

fn topics(value: Value) -> Result<Vec<Topic>, RpcError> {
    let names = params::<Topics>(value)?.topics;
    if names.is_empty() {
        return error(-32602, "INVALID_PARAMS", "topics: at least one");
    }
    names
        .iter()
        .map(|name| match Topic::parse(name) {
            Some(topic) => Ok(topic),
            None => error(
                -32602,
                "BAD_REQUEST",
                format!("topics: unknown topic `{name}`"),
            ),
        })
        .collect()
}

/// All or nothing: one topic that may not be had refuses the whole request.
fn subscribe(world: &World, caller: &Caller, value: Value) -> Result<Value, RpcError> {
    let mut topics = topics(value)?;
    let silent = lock(&world.engine).choices.silent_private_topics
        && lock(&world.hub).session(caller.id).is_none();
    if !silent && topics.iter().any(|topic| topic.scope().is_some()) {
        let (_, _, permissions) = session(world, caller)?;
        for scope in topics.iter().filter_map(|topic| topic.scope()) {
            if !permissions.iter().any(|have| have == scope) {
                return error(
                    -32403,
                    "FORBIDDEN",
                    format!("The key lacks the scope {scope}"),
                );
            }
        }
    }
    let key = lock(&world.hub).session(caller.id);
    let place = Place {
        key: key.as_deref(),
        ..Place::default()
    };
    if world
        .take_fault(place, |fault| *fault == Fault::PartialSubscribe)
        .is_some()
    {
        topics.pop();
    }
    lock(&world.hub).subscribe(caller.id, &topics);
    let names: Vec<String> = topics.iter().map(Topic::to_string).collect();
    Ok(json!({ "subscribed": names }))
}

fn unsubscribe(world: &World, caller: &Caller, value: Value) -> Result<Value, RpcError> {
    let topics = topics(value)?;
    Ok(unsubscribed(
        &lock(&world.hub).unsubscribe(caller.id, Some(&topics)),
    ))
}

fn unsubscribed(topics: &[Topic]) -> Value {
    let names: Vec<String> = topics.iter().map(Topic::to_string).collect();
    json!({ "unsubscribed": names })
}
