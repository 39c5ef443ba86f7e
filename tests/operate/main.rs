//! Operating the service: the real program, the simulated exchange, and what an operator does and
//! sees: verbs, restarts, health, metrics, failures of parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doors;
#[allow(dead_code, reason = "benches print more of them")]
#[path = "../../benches/stage/figures.rs"]
mod figures;
#[allow(
    dead_code,
    unused_imports,
    reason = "played with here and in other tests"
)]
#[path = "../service/harness/mod.rs"]
mod harness;
mod restart;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../postgres/server.rs"]
mod server;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
