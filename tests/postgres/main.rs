//! The real program on a real server of PostgreSQL: two of it, one that trades; and the server
//! itself stopped, killed and frozen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/books.rs"]
mod books;
#[path = "../crash/effects.rs"]
mod effects;
mod import;
mod server;
mod server_gone;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
mod standby;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
