//! Operating the service: the real program, the simulated exchange, and what an operator does and
//! sees: verbs, restarts, health, metrics, failures of parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![recursion_limit = "256"] // stories are deeply nested futures

mod accounts_by_http;
mod audit;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/books.rs"]
mod books;
mod booted;
mod by_hand;
mod complaints;
mod container;
mod crowd;
mod desk;
mod doors;
#[path = "../crash/effects.rs"]
mod effects;
mod ending;
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
mod kill_switch;
mod killed_in_an_outage;
mod left_behind;
mod listing;
mod logs;
mod manager;
mod metrics;
mod name_server;
mod names;
mod network;
mod one_file;
mod outage;
mod pages;
mod prometheus;
mod protections;
mod receiver;
mod restart;
mod rights;
mod rotation;
mod scrape;
mod secrets;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../postgres/server.rs"]
mod server;
mod service_manager;
mod shipped;
mod shown;
mod small_disk;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
mod standing_by;
mod stopwatch;
mod tree;
mod unheard;
mod unusable;
mod verbs;
mod volume;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
mod webhook;
