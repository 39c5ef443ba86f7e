//! Everything that can go wrong between service and exchange, by name: what is shown meanwhile,
//! what the log says of it, and that a trigger that falls into it is acted on exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![recursion_limit = "256"] // stories are deeply nested futures

mod accounts;
mod book;
mod clocks;
#[path = "../crash/effects.rs"]
mod effects;
mod freshness;
#[allow(dead_code, unused_imports)] // it serves other stories too
#[path = "../service/harness/mod.rs"]
mod harness;
mod outages;
mod proxy;
mod reconcile;
mod requests;
mod sockets;
mod story;
mod unreadable;
