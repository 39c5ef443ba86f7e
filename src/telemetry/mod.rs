//! Logs, the events in them, which bear stable names, and the figures that are made of them.

mod emit;
mod events;
mod init;
mod lines;
pub mod metrics;
mod sampled;

pub use emit::Events;
pub use events::{AccountTag, Event};
pub use init::{LogFormat, init};
pub use sampled::{Sampled, SampledBy};
