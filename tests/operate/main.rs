//! Operating the service: the real program, the simulated exchange, and what an operator does and
//! sees: verbs, restarts, health, metrics, failures of parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/books.rs"]
mod books;
mod doors;
#[allow(dead_code, reason = "benches print more of them")]
#[path = "../../benches/stage/figures.rs"]
mod figures;
mod filters;
#[allow(
    dead_code,
    unused_imports,
    reason = "played with here and in other tests"
)]
#[path = "../service/harness/mod.rs"]
mod harness;
mod killed_in_an_outage;
mod logs;
mod manager;
mod metrics;
mod outage;
mod pages;
mod prometheus;
mod restart;
mod scrape;
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
mod tree;
mod volume;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
