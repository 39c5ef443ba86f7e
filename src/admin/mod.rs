//! Health and state over HTTP, for service managers and for the command line.
//!
//! `/healthz`: the process answers. `/readyz`: every account has been read since the start.
//! `/v1/status`: the state of everything, for whoever holds the token.

mod access;
mod report;
mod server;

pub use access::Access;
pub use report::{AccountReport, PositionReport, StatusReport};
pub use server::Admin;
