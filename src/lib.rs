//! vigia
pub mod actors;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod exchange;
pub mod journal;
pub mod simulator;
pub mod store;
pub mod supervision;
pub mod telemetry;
