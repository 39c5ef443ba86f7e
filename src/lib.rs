//! vigia
pub mod clock;
pub mod config;
pub mod domain;
pub mod exchange;
pub mod simulator;
pub mod supervision;
pub mod telemetry;
