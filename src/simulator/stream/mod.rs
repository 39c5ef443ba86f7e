//! Stream v1: JSON-RPC 2.0 over WebSocket.

mod feed;
mod hub;
mod rpc;
mod socket;
mod strange;
mod topic;
mod valve;

pub(super) use feed::{Feed, announce, push_funding, push_prices, push_ticker};
pub(super) use hub::{End, Hub};
pub(super) use socket::run;
pub(super) use topic::Topic;
