//! Jobs through the whole service: the real program, the simulated exchange, a real Redis or a real
//! database, and Node applications at the other end of the queue.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fairness;
mod flood;
mod interop;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../operate/name_server.rs"]
mod name_server;
mod names;
#[path = "../queue/network.rs"]
mod network;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../queue/node.rs"]
mod node;
#[path = "../queue/outage.rs"]
mod outage;
mod outages;
mod payloads;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../queue/redis_server.rs"]
mod redis_server;
mod scene;
#[path = "../postgres/server.rs"]
mod server;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/stage.rs"]
mod stage;
mod store_away;
mod together;
#[path = "../queue/waiting.rs"]
mod waiting;
#[allow(dead_code, reason = "played with here and in other tests")]
#[path = "../crash/watchman.rs"]
mod watchman;
