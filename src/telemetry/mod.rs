//! Logs and the events in them, which bear stable names.

mod events;
mod init;
mod sampled;

pub use events::{AccountTag, Event, Events};
pub use init::{LogFormat, init};
pub use sampled::Sampled;
