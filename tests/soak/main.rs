//! The real program for a while, with many accounts, a falling price and faults at random: what it
//! did, held against the exchange's ledger, and what it grew by.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "played with in other tests")]
#[path = "../crash/books.rs"]
mod books;
#[path = "../crash/effects.rs"]
mod effects;
mod figures;
mod mischief;
#[allow(dead_code, reason = "played with in other tests")]
#[path = "../postgres/server.rs"]
mod server;
mod soak;
#[allow(dead_code, reason = "played with in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
#[allow(dead_code, reason = "played with in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
