//! Stream v1: one socket, owned by one task. It logs in, subscribes, holds the answer against what
//! was asked, and then delivers frames; it judges itself by answers to its pings. Whatever ends it
//! is told once, with its cause; sessions do not survive it.

mod connect;
mod rights;
mod session;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::parse::Frame;
use super::sockets::SocketPermit;
use super::text::tidy;
use super::{ExchangeClock, Network};
use crate::domain::credentials::Credentials;
pub use rights::rights;

use connect::connect;
use session::{Lost, Session};

/// Frames that wait for their actor. When it is full the socket is not read, until the exchange
/// gives the socket up: then the book is read again, so nothing is lost.
const FRAMES_WAITING: usize = 1024;

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
    /// Events of the orders of its cross account.
    CrossOrders,
    /// Events of its cross position.
    CrossPosition,
}

impl Topic {
    fn name(self) -> &'static str {
        match self {
            Self::LastPrice => "futures/inverse/btc_usd/lastPrice",
            Self::IsolatedTrades => "futures/inverse/btc_usd/isolated/trades",
            Self::CrossOrders => "futures/inverse/btc_usd/cross/orders",
            Self::CrossPosition => "futures/inverse/btc_usd/cross/position",
        }
    }

    /// Whether a key may lack the right to it and still be served without.
    fn may_be_forbidden(self) -> bool {
        matches!(self, Self::CrossOrders | Self::CrossPosition)
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
    /// The key lacks the right to some of what was asked: the cross account's. Comes before
    /// `Ready`, if at all.
    Forbidden(Vec<Topic>),
    /// Logged in and subscribed to all that was asked and is not forbidden.
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

/// A socket. Dropped, it is closed, and its place is free as soon as the exchange knows.
#[derive(Debug)]
pub struct Socket {
    _held: oneshot::Sender<()>,
}

impl Socket {
    /// Opens a socket; the permit is given back when it ends.
    pub fn open(
        network: &Network,
        plan: SocketPlan,
        clock: ExchangeClock,
        windows: StreamWindows,
        mut permit: SocketPermit,
    ) -> (Self, mpsc::Receiver<SocketEvent>) {
        let (events, receiver) = mpsc::channel(FRAMES_WAITING);
        let (held, given_up) = oneshot::channel();
        let network = network.clone();
        tokio::spawn(async move {
            let connected = connect(&network, windows, &mut permit).await;
            let mut session = match connected {
                Ok(ws) => Session::new(ws, clock, windows, events.clone()),
                Err(lost) => {
                    // The place is free before anybody hears of the end and asks for one.
                    drop(permit);
                    tell(lost, &events).await;
                    return;
                }
            };
            tokio::select! {
                biased;
                // Nobody hears what it says any more.
                _ = given_up => {}
                ended = session.live(&plan, &mut permit) => {
                    let Err(lost) = ended;
                    if lost.0 == Cause::Limit {
                        permit.limited();
                    }
                    tell(lost, &events).await;
                }
            }
            drop(events);
            if session.close().await {
                permit.gone();
            }
        });
        (Self { _held: held }, receiver)
    }
}

async fn tell(Lost(cause, detail): Lost, events: &mpsc::Sender<SocketEvent>) {
    let _ = events.send(SocketEvent::Lost(cause, tidy(&detail))).await;
}
