//! Logs, the events in them, which bear stable names, and the figures that are made of them.

mod events;
mod init;
pub mod metrics;
mod sampled;

pub use events::{AccountTag, Event, Events};
pub use init::{LogFormat, init};
pub use sampled::{Sampled, SampledBy};
