//! The port: connections, upgrades, and closing them.

use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::control;
use super::faults::{Fault, Place};
use super::rest::{self, ApiError, Reply, Request};
use super::stream;
use super::tls::Certificate;
use super::world::{World, lock};

/// Connections open at once; one more is closed unanswered.
const MAX_CONNECTIONS: usize = 30_000;
/// Largest request body; a larger one is answered 413.
const MAX_BODY: usize = 64 << 10;
/// Connections that the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;

/// Accepts until the simulator stops. Every connection is a task of this future's own set.
pub(super) async fn serve(world: Arc<World>, listener: TcpListener, tls: Option<Certificate>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut refused = world.refused_until.subscribe();
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    loop {
        let now = world.clock.elapsed();
        let closed_for = refused.borrow_and_update().saturating_sub(now);
        if !closed_for.is_zero() {
            listener = None;
        }
        let Some(open) = &listener else {
            tokio::select! {
                () = world.stopped() => return,
                _ = refused.changed() => {}
                reopened = reopen(address, closed_for) => listener = reopened,
            }
            continue;
        };
        tokio::select! {
            () = world.stopped() => return,
            _ = refused.changed() => {}
            Some(_) = connections.join_next() => {}
            accepted = open.accept() => match accepted {
                Ok((io, peer)) if connections.len() < MAX_CONNECTIONS => {
                    let world = Arc::clone(&world);
                    // Small answers at once: Nagle would add 40 ms to what tests measure.
                    let _ = io.set_nodelay(true);
                    match tls.clone() {
                        None => connections.spawn(connection(world, io, peer.ip())),
                        Some(tls) => connections.spawn(async move {
                            if let Some(io) = tls.accept(io).await {
                                connection(world, io, peer.ip()).await;
                            }
                        }),
                    };
                }
                Ok(_) => {}
                // Out of file descriptors: give others the time to close some.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Holds the port without listening, so that connects are refused and nobody else takes it.
async fn reopen(address: SocketAddr, closed_for: Duration) -> Option<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    tokio::time::sleep(closed_for).await;
    match bound.and_then(|socket| socket.listen(BACKLOG)) {
        Ok(listener) => Some(listener),
        Err(_) => {
            // The kernel still has the old one: tried again from the loop.
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

async fn connection<Io>(world: Arc<World>, io: Io, ip: IpAddr)
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let kill = Notify::new();
    let upgrade: Mutex<Option<OnUpgrade>> = Mutex::new(None);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let world = Arc::clone(&world);
        let (kill, upgrade) = (&kill, &upgrade);
        async move {
            match route(world, request, ip, upgrade).await {
                Reply::Answer(response) => return Ok::<_, Infallible>(response),
                Reply::Kill => kill.notify_one(),
                Reply::Silence => {}
            }
            pending().await
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::select! {
        _ = http => {}
        () = kill.notified() => return,
    }
    let upgraded = lock(&upgrade).take();
    if let Some(upgraded) = upgraded
        && let Ok(io) = upgraded.await
    {
        stream::run(world, io, ip).await;
    }
}

async fn route(
    world: Arc<World>,
    mut request: hyper::Request<Incoming>,
    ip: IpAddr,
    upgrade: &Mutex<Option<OnUpgrade>>,
) -> Reply {
    if request.uri().path() == "/v1" {
        return match accept_key(&world, request.headers(), ip) {
            Ok(key) => {
                *lock(upgrade) = Some(hyper::upgrade::on(&mut request));
                Reply::Answer(switching(&key))
            }
            Err(status) => Reply::Answer(status_only(status)),
        };
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_BODY).await else {
        return Reply::Answer(status_only(413));
    };
    let request = Request {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        ip,
    };
    if request.uri.path().starts_with("/_control/") {
        return Reply::Answer(match control::http::answer(&world, &request) {
            Ok(value) => rest::json_response(200, value.to_string().into()),
            Err(error) => ApiError::into_response(error),
        });
    }
    rest::answer(world, request).await
}

/// The answer to the client's handshake key, or the status that refuses the upgrade.
fn accept_key(world: &World, headers: &HeaderMap, ip: IpAddr) -> Result<String, u16> {
    let refused = world.take_fault(
        Place {
            path: Some("/v1"),
            ..Place::default()
        },
        |fault| matches!(fault, Fault::RefuseUpgrades { .. }),
    );
    if let Some(Fault::RefuseUpgrades { status }) = refused {
        return Err(status);
    }
    if world.is_restarting() {
        return Err(503);
    }
    let is_upgrade = headers
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|_| is_upgrade)
        .ok_or(426_u16)?;
    let accept = derive_accept_key(key.as_bytes());
    lock(&world.limiter)
        .take_connect(ip, world.clock.elapsed())
        .map_err(|_| 429_u16)?;
    Ok(accept)
}

fn switching(accept: &str) -> Response<Body> {
    let mut response = status_only(101);
    let headers = response.headers_mut();
    headers.insert(
        header::CONNECTION,
        header::HeaderValue::from_static("Upgrade"),
    );
    headers.insert(
        header::UPGRADE,
        header::HeaderValue::from_static("websocket"),
    );
    // Base64 is always a valid header value.
    if let Ok(accept) = accept.parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn status_only(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
}
