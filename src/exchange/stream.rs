//! Stream v1: one socket, owned by one task. It logs in, subscribes, holds the answer against what
//! was asked, and then delivers frames; it judges itself by answers to its pings. Whatever ends it
//! is told once, with its cause; sessions do not survive it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::parse::{self, Frame};
use super::sockets::SocketPermit;
use super::{ExchangeClock, Network, sign, wire};
use crate::domain::credentials::Credentials;

/// Frames that wait for their actor. When it is full the socket is not read, until the exchange
/// gives the socket up: then the book is read again, so nothing is lost.
const FRAMES_WAITING: usize = 1024;
/// No frame the exchange has reason to send is longer.
const MOST_BYTES: usize = 1 << 20;

/// The numbers of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamWindows {
    /// To connect, and to answer each request.
    pub answer_within: Duration,
    /// Between pings.
    pub ping_period: Duration,
    /// For the answer to a ping.
    pub ping_deadline: Duration,
}

impl Default for StreamWindows {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(5),
            ping_period: Duration::from_secs(5),
            ping_deadline: Duration::from_secs(2),
        }
    }
}

/// What a socket may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The last price. Public.
    LastPrice,
    /// Events of the account's isolated trades.
    IsolatedTrades,
}

impl Topic {
    fn name(self) -> &'static str {
        match self {
            Self::LastPrice => "futures/inverse/btc_usd/lastPrice",
            Self::IsolatedTrades => "futures/inverse/btc_usd/isolated/trades",
        }
    }
}

/// Why a socket is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection came about.
    Refused,
    /// The other side closed it, or it broke.
    Closed,
    /// A ping was not answered in time.
    Silent,
    /// The login was refused.
    Auth,
    /// The exchange says that there are too many.
    Limit,
    /// Its answers made no sense.
    Decode,
}

impl Cause {
    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Auth => "auth",
            Self::Limit => "limit",
            Self::Decode => "decode",
        }
    }
}

/// What a socket tells its actor.
#[derive(Clone, Debug)]
pub enum SocketEvent {
    /// Logged in and subscribed to all that was asked.
    Ready,
    /// A push, with the time it was read from the socket, since the start of the process.
    Frame(Frame, Duration),
    /// A frame that could not be read; it is skipped.
    Undecodable(String),
    /// It is no more; nothing follows.
    Lost(Cause, String),
}

/// What a socket is for.
#[derive(Clone, Debug)]
pub struct SocketPlan {
    /// To log in with, for private topics.
    pub credentials: Option<Arc<Credentials>>,
    /// What to subscribe to.
    pub topics: Vec<Topic>,
}

/// A socket's task. Dropped, the socket is closed.
#[derive(Debug)]
pub struct Socket {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Socket {
    /// Opens a socket; the permit is given back when it ends.
    pub fn open(
        network: &Network,
        plan: SocketPlan,
        clock: ExchangeClock,
        windows: StreamWindows,
        permit: SocketPermit,
    ) -> (Self, mpsc::Receiver<SocketEvent>) {
        let (events, receiver) = mpsc::channel(FRAMES_WAITING);
        let url = network.stream_url().to_owned();
        let task = tokio::spawn(async move {
            let Err(Lost(cause, detail)) = live(&url, &plan, &clock, windows, &events).await;
            // The place is free before anybody hears of the end and asks for one.
            drop(permit);
            let _ = events.send(SocketEvent::Lost(cause, detail)).await;
        });
        (Self { task }, receiver)
    }
}

struct Lost(Cause, String);

type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn live(
    url: &str,
    plan: &SocketPlan,
    clock: &ExchangeClock,
    windows: StreamWindows,
    events: &mpsc::Sender<SocketEvent>,
) -> Result<std::convert::Infallible, Lost> {
    let mut session = Session {
        ws: connect(url, windows).await?,
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

async fn connect(url: &str, windows: StreamWindows) -> Result<Ws, Lost> {
    // The default read buffer costs twenty times the memory of a connection.
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES));
    let connecting = connect_async_with_config(url, Some(config), true);
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
        self.ask("authenticate", Some(login)).await.map(drop)
    }

    /// A partial answer is a failure: a topic that is silently missing would look like calm.
    async fn subscribe(&mut self, topics: &[Topic]) -> Result<(), Lost> {
        let topics: Vec<String> = topics.iter().map(|topic| topic.name().to_owned()).collect();
        let answer = self
            .ask("subscribe", Some(wire::Topics { topics: &topics }))
            .await?;
        let answer: wire::Subscribed = serde_json::from_str(&answer)
            .map_err(|error| Lost(Cause::Decode, format!("subscribe: {error}")))?;
        let subscribed: HashSet<&str> = answer.subscribed.iter().map(String::as_str).collect();
        match topics
            .iter()
            .find(|topic| !subscribed.contains(topic.as_str()))
        {
            Some(missing) => Err(Lost(Cause::Decode, format!("not subscribed to {missing}"))),
            None => Ok(()),
        }
    }

    /// Sends a request and waits for its answer; pushes that come first are delivered.
    async fn ask(&mut self, method: &str, params: Option<impl Serialize>) -> Result<String, Lost> {
        self.request(method, method, params).await?;
        let deadline = Instant::now() + self.windows.answer_within;
        loop {
            let text = match tokio::time::timeout_at(deadline, self.ws.next()).await {
                Err(_) => return Err(Lost(Cause::Silent, format!("no answer to {method}"))),
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
                            return Err(refusal("the session", Some(error)));
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
            Some(Err(error)) => Err(Lost(Cause::Closed, error.to_string())),
            None => Err(Lost(Cause::Closed, "the connection ended".to_owned())),
        }
    }
}

const PING: &str = "ping";

fn refusal(what: &str, error: Option<wire::StreamError>) -> Lost {
    let Some(error) = error else {
        return Lost(
            Cause::Decode,
            format!("{what}: neither a result nor an error"),
        );
    };
    let code = error.data.map(|data| data.code).unwrap_or_default();
    let cause = match code.as_str() {
        "UNAUTHORIZED" | "FORBIDDEN" => Cause::Auth,
        "TOO_MANY_REQUESTS" => Cause::Limit,
        _ => Cause::Decode,
    };
    let message: String = error
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    Lost(cause, format!("{what}: {code} {message}"))
}
