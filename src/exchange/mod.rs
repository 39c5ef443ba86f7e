//! LN Markets, as a client sees it: signing, the wire, REST v3, Stream v1, the budgets that the
//! exchange sets, and what its errors mean. Wire types do not leave this folder.

mod answer;
mod clock;
mod error;
mod names;
mod network;
mod parse;
mod rate;
mod rest;
mod sign;
mod sockets;
mod stream;
mod text;
mod window;
mod wire;

pub use clock::ExchangeClock;
pub use error::{Class, ExchangeError};
pub use network::{Network, NetworkError};
pub use parse::{
    AccountReading, ClosedTrade, CrossOrder, CrossReading, Frame, OpenOrder, OpenOrders, Running,
    Ticker, Transfer, UnreadableTrade,
};
pub use rate::{Allowance, KeyRates, RateBudget, RateCounts, RateLimit, Spend};
pub use rest::{FoundTrade, NewCrossOrder, NewTrade, Rest, StopLoss};
pub use sockets::{Attempt, SocketBudget, SocketLimits, SocketPermit, SocketRoom};
pub use stream::{Cause, Socket, SocketEvent, SocketPlan, StreamWindows, Topic, rights};
