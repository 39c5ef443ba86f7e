//! Operating the service: the real program, the simulated exchange, and what an operator does and
//! sees: verbs, restarts, health, metrics, failures of parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/books.rs"]
mod books;
mod doors;
mod filters;
mod killed_in_an_outage;
mod logs;
mod manager;
mod outage;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../postgres/server.rs"]
mod server;
mod service_manager;
mod shipped;
mod small_disk;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
mod standing_by;
mod volume;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
