//! The real program, killed at every place that matters, against the real simulator: nothing lost,
//! nothing twice. And fed with what it cannot use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_account;
mod bad_config;
mod bad_prices;
mod bad_store;
mod books;
mod full_disk;
mod holder;
mod killed_at;
mod killed_at_random;
mod owner_acts;
mod reply_lost;
#[path = "../postgres/server.rs"]
mod server;
mod stage;
mod stopping;
mod watchman;
