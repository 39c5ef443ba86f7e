//! Health and state over HTTP, for service managers and for the command line.
//!
//! `/healthz`: the process answers. `/readyz`: every account has been read since the start. Both name
//! the state of the queue of jobs, and neither fails for it: without jobs the service goes on acting
//! by itself, and restarting it brings no Redis back. `/v1/status`: the state of everything, with what
//! is wrong, for whoever holds the token.

mod access;
mod door;
mod health;
mod look;
mod report;
mod server;

pub use access::Access;
pub use report::{AccountReport, PositionReport, QueueReport, StatusReport};
pub use server::Admin;
