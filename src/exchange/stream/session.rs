//! What happens on a connected socket, until whatever ends it.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::connect::Ws;
use super::{Cause, SocketEvent, SocketPlan, StreamWindows, Topic};
use crate::domain::credentials::Credentials;
use crate::exchange::sockets::SocketPermit;
use crate::exchange::text::tidy;
use crate::exchange::{ExchangeClock, parse, sign, wire};

const PING: &str = "ping";
/// Who does not answer a goodbye for so long may go on counting the socket.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no socket any more.
pub(super) struct Lost(pub Cause, pub String);

/// One connected socket.
pub(super) struct Session {
    ws: Ws,
    clock: ExchangeClock,
    windows: StreamWindows,
    events: mpsc::Sender<SocketEvent>,
}

impl Session {
    pub(super) fn new(
        ws: Ws,
        clock: ExchangeClock,
        windows: StreamWindows,
        events: mpsc::Sender<SocketEvent>,
    ) -> Self {
        Self {
            ws,
            clock,
            windows,
            events,
        }
    }

    /// Logs in, subscribes and listens, until something ends that.
    pub(super) async fn live(
        &mut self,
        plan: &SocketPlan,
        permit: &mut SocketPermit,
    ) -> Result<std::convert::Infallible, Lost> {
        self.measure_clock().await?;
        if let Some(credentials) = &plan.credentials {
            permit.logs_in();
            let answer = self.login(credentials).await;
            permit.login_answered();
            answer?;
        }
        self.subscribe(&plan.topics).await?;
        self.tell(SocketEvent::Ready).await?;
        self.listen().await
    }

    /// Logs in, and hears what the key may do.
    pub(super) async fn rights(
        &mut self,
        credentials: &Credentials,
        permit: &mut SocketPermit,
    ) -> Result<Vec<String>, Lost> {
        self.measure_clock().await?;
        permit.logs_in();
        let answer = self.login(credentials).await;
        permit.login_answered();
        let told: wire::LoggedIn = serde_json::from_str(&answer?)
            .map_err(|error| Lost(Cause::Decode, format!("authenticate: {error}")))?;
        Ok(told.permissions)
    }

    /// Says goodbye; whether the other side has ended the connection too.
    pub(super) async fn close(mut self) -> bool {
        let closing = async {
            let _ = self.ws.close(None).await;
            while let Some(Ok(_)) = self.ws.next().await {}
        };
        timeout(CLOSE_WITHIN, closing).await.is_ok()
    }

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

    async fn login(&mut self, credentials: &Credentials) -> Result<String, Lost> {
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
        Ok(self.ask("authenticate", Some(login)).await?)
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
