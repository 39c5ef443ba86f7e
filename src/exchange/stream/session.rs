//! What happens on one socket, from the connection to whatever ends it.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::{Cause, SocketEvent, SocketPlan, StreamWindows, Topic};
use crate::domain::credentials::Credentials;
use crate::exchange::text::tidy;
use crate::exchange::{ExchangeClock, Network, parse, sign, wire};

/// No frame the exchange has reason to send is longer.
const MOST_BYTES: usize = 1 << 20;
const PING: &str = "ping";

/// Why there is no socket any more.
pub(super) struct Lost(pub Cause, pub String);

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn live(
    network: &Network,
    plan: &SocketPlan,
    clock: &ExchangeClock,
    windows: StreamWindows,
    events: &mpsc::Sender<SocketEvent>,
) -> Result<std::convert::Infallible, Lost> {
    let mut session = Session {
        ws: connect(network, windows).await?,
        clock: clock.clone(),
        windows,
        events: events.clone(),
    };
    session.measure_clock().await?;
    if let Some(credentials) = &plan.credentials {
        session.login(credentials).await?;
    }
    session.subscribe(&plan.topics).await?;
    session.tell(SocketEvent::Ready).await?;
    session.listen().await
}

async fn connect(network: &Network, windows: StreamWindows) -> Result<Ws, Lost> {
    // The default read buffer costs twenty times the memory of a connection.
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES));
    let tls = Connector::Rustls(Arc::clone(network.tls()));
    let url = network.stream_url();
    let connecting = connect_async_tls_with_config(url, Some(config), true, Some(tls));
    match timeout(windows.answer_within, connecting).await {
        Err(_) => Err(Lost(Cause::Refused, "no connection in time".to_owned())),
        Ok(Ok((ws, _))) => Ok(ws),
        Ok(Err(WsError::Http(answer))) => {
            let status = answer.status();
            let cause = if status == 429 {
                Cause::Limit
            } else {
                Cause::Refused
            };
            Err(Lost(
                cause,
                format!("the upgrade was answered with {status}"),
            ))
        }
        Ok(Err(error)) => Err(Lost(Cause::Refused, error.to_string())),
    }
}

struct Session {
    ws: Ws,
    clock: ExchangeClock,
    windows: StreamWindows,
    events: mpsc::Sender<SocketEvent>,
}

impl Session {
    async fn measure_clock(&mut self) -> Result<(), Lost> {
        let asked = self.clock.local().mono();
        let answer = self.ask("time", None::<()>).await?;
        #[derive(serde::Deserialize)]
        struct Time {
            time: i64,
        }
        let time: Time = serde_json::from_str(&answer)
            .map_err(|error| Lost(Cause::Decode, format!("time: {error}")))?;
        if let Some(theirs) = chrono::DateTime::from_timestamp_millis(time.time) {
            self.clock
                .measured(theirs, asked, self.clock.local().mono());
        }
        Ok(())
    }

    async fn login(&mut self, credentials: &Credentials) -> Result<(), Lost> {
        let timestamp = self.clock.now().timestamp_millis();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let signature = sign::stream(&credentials.secret, timestamp, &nonce);
        let login = wire::Login {
            key: credentials.key.expose_secret(),
            passphrase: credentials.passphrase.expose_secret(),
            timestamp,
            nonce: &nonce,
            signature: &signature,
        };
        self.ask("authenticate", Some(login)).await?;
        Ok(())
    }

    /// A partial answer is a failure: a topic that is silently missing would look like calm. What
    /// is refused as a whole, for a right that a key may lack, is asked for without that.
    async fn subscribe(&mut self, topics: &[Topic]) -> Result<(), Lost> {
        let (forbidden, allowed): (Vec<Topic>, Vec<Topic>) =
            topics.iter().partition(|topic| topic.may_be_forbidden());
        match self.subscribe_to_all(topics).await {
            Err(Refused::Forbidden(_)) if !forbidden.is_empty() && !allowed.is_empty() => {
                self.subscribe_to_all(&allowed).await?;
                self.tell(SocketEvent::Forbidden(forbidden)).await
            }
            answer => Ok(answer?),
        }
    }

    async fn subscribe_to_all(&mut self, topics: &[Topic]) -> Result<(), Refused> {
        let topics: Vec<&str> = topics.iter().map(|topic| topic.name()).collect();
        let answer = self
            .ask("subscribe", Some(wire::Topics { topics: &topics }))
            .await?;
        let answer: wire::Subscribed = serde_json::from_str(&answer)
            .map_err(|error| Lost(Cause::Decode, format!("subscribe: {error}")))?;
        let subscribed: HashSet<&str> = answer.subscribed.iter().map(String::as_str).collect();
        match topics.iter().find(|topic| !subscribed.contains(*topic)) {
            Some(missing) => {
                Err(Lost(Cause::Decode, format!("not subscribed to {missing}")).into())
            }
            None => Ok(()),
        }
    }

    /// Sends a request and waits for its answer; pushes that come first are delivered.
    async fn ask(
        &mut self,
        method: &str,
        params: Option<impl Serialize>,
    ) -> Result<String, Refused> {
        self.request(method, method, params).await?;
        let deadline = Instant::now() + self.windows.answer_within;
        loop {
            let text = match tokio::time::timeout_at(deadline, self.ws.next()).await {
                Err(_) => return Err(Lost(Cause::Silent, format!("no answer to {method}")).into()),
                Ok(message) => self.text(message)?,
            };
            let Some(text) = text else { continue };
            let Ok(incoming) = serde_json::from_str::<wire::Incoming<'_>>(&text) else {
                let event = SocketEvent::Undecodable(format!("while waiting for {method}"));
                self.tell(event).await?;
                continue;
            };
            if let Some(push) = incoming.params {
                self.deliver(&push).await?;
            } else if incoming.id.as_deref() == Some(method) {
                return match (incoming.result, incoming.error) {
                    (Some(result), None) => Ok(result.get().to_owned()),
                    (_, error) => Err(refusal(method, error)),
                };
            } else if let (None, Some(error)) = (incoming.id, incoming.error) {
                return Err(refusal(method, Some(error)));
            }
        }
    }

    async fn request(
        &mut self,
        id: &str,
        method: &str,
        params: Option<impl Serialize>,
    ) -> Result<(), Lost> {
        let request = wire::Request {
            jsonrpc: "2.0",
            id,
            method,
            params,
        };
        let text = serde_json::to_string(&request)
            .map_err(|error| Lost(Cause::Decode, format!("{method}: {error}")))?;
        let sent = timeout(
            self.windows.answer_within,
            self.ws.send(Message::text(text)),
        )
        .await;
        match sent {
            Err(_) => Err(Lost(Cause::Silent, format!("{method} could not be sent"))),
            Ok(Err(error)) => Err(Lost(Cause::Closed, error.to_string())),
            Ok(Ok(())) => Ok(()),
        }
    }

    async fn listen(&mut self) -> Result<std::convert::Infallible, Lost> {
        let mut next_ping = Instant::now() + self.windows.ping_period;
        let mut answer_due: Option<Instant> = None;
        loop {
            let wake = answer_due.unwrap_or(next_ping);
            tokio::select! {
                message = self.ws.next() => {
                    let Some(text) = self.text(message)? else { continue };
                    match serde_json::from_str::<wire::Incoming<'_>>(&text) {
                        Ok(wire::Incoming { params: Some(push), .. }) => {
                            self.deliver(&push).await?;
                        }
                        Ok(wire::Incoming { id: Some(id), result: Some(_), .. })
                            if id == PING => answer_due = None,
                        Ok(wire::Incoming { error: Some(error), .. }) => {
                            return Err(refusal("the session", Some(error)).into());
                        }
                        Ok(_) => {}
                        Err(error) => {
                            self.tell(SocketEvent::Undecodable(error.to_string())).await?;
                        }
                    }
                }
                () = tokio::time::sleep_until(wake) => {
                    if answer_due.is_some() {
                        return Err(Lost(Cause::Silent, "a ping was not answered".to_owned()));
                    }
                    self.request(PING, PING, None::<()>).await?;
                    let now = Instant::now();
                    next_ping = now + self.windows.ping_period;
                    answer_due = Some(now + self.windows.ping_deadline);
                }
            }
        }
    }

    async fn deliver(&mut self, push: &wire::Push<'_>) -> Result<(), Lost> {
        let at = self.clock.local().mono();
        match parse::frame(&push.topic, push.data.get()) {
            Ok(Some(frame)) => self.tell(SocketEvent::Frame(frame, at)).await,
            Ok(None) => Ok(()),
            Err(error) => self.tell(SocketEvent::Undecodable(error.to_string())).await,
        }
    }

    async fn tell(&mut self, event: SocketEvent) -> Result<(), Lost> {
        let event = match event {
            SocketEvent::Undecodable(detail) => SocketEvent::Undecodable(tidy(&detail)),
            event => event,
        };
        let gone = |_| Lost(Cause::Closed, "nobody listens".to_owned());
        self.events.send(event).await.map_err(gone)
    }

    fn text(
        &self,
        message: Option<Result<Message, WsError>>,
    ) -> Result<Option<tokio_tungstenite::tungstenite::Utf8Bytes>, Lost> {
        match message {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(frame))) => {
                let code = frame.as_ref().map_or(1005, |frame| u16::from(frame.code));
                let cause = if code == 1008 {
                    Cause::Limit
                } else {
                    Cause::Closed
                };
                Err(Lost(cause, format!("closed with {code}")))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(Lost(cause_of(&error), error.to_string())),
            None => Err(Lost(Cause::Closed, "the connection ended".to_owned())),
        }
    }
}

/// What is no WebSocket is no lost connection.
fn cause_of(error: &WsError) -> Cause {
    match error {
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::Closed,
        WsError::Protocol(_) | WsError::Utf8(_) | WsError::Capacity(_) => Cause::Decode,
        _ => Cause::Closed,
    }
}

/// An answer that is a refusal.
enum Refused {
    /// The key lacks a right.
    Forbidden(String),
    /// Nothing more can come of this socket.
    Lost(Lost),
}

impl From<Lost> for Refused {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<Refused> for Lost {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden(detail) => Self(Cause::Auth, detail),
            Refused::Lost(lost) => lost,
        }
    }
}

fn refusal(what: &str, error: Option<wire::StreamError>) -> Refused {
    let Some(error) = error else {
        let detail = format!("{what}: neither a result nor an error");
        return Lost(Cause::Decode, detail).into();
    };
    let code = error.data.map(|data| data.code).unwrap_or_default();
    let detail = format!("{what}: {code} {}", error.message);
    let cause = match code.as_str() {
        "FORBIDDEN" => return Refused::Forbidden(detail),
        "UNAUTHORIZED" => Cause::Auth,
        "TOO_MANY_REQUESTS" => Cause::Limit,
        _ => Cause::Decode,
    };
    Lost(cause, detail).into()
}
