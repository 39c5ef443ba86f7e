//! The simulated exchange, seen from outside: real sockets, real signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod choices;
mod client;
mod control;
mod cross;
mod faults;
mod golden;
mod limits;
mod market;
mod rest;
mod socket;
mod stops;
mod stream;
