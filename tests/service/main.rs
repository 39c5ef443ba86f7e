//! The service's promises, proven on the real actors before a simulated exchange: over real
//! sockets, on a real database, by what the exchange's ledger says in the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connection;
mod cross;
mod dry_run;
#[path = "../crash/effects.rs"]
mod effects;
mod entry;
mod fallback;
mod feed;
mod guard;
#[allow(dead_code)] // other stories use more of it
mod harness;
mod hundred;
mod jobs;
mod kill_switch;
mod limits;
mod ownership;
mod poison;
mod recovery;
mod reduce;
mod reopening;
mod store;
mod stuck;
mod supervision;
mod tp_sl;
mod unknown;
