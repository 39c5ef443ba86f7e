//! The real program, killed at every place that matters, against the real simulator: nothing lost,
//! nothing twice. And fed with what it cannot use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod act;
mod asked;
mod bad_account;
mod bad_config;
mod bad_prices;
mod bad_store;
mod books;
mod effects;
mod full_disk;
mod holder;
mod killed_at;
mod killed_at_random;
mod on_redis;
mod owner_acts;
mod part;
mod point;
#[allow(dead_code, reason = "who strikes a server plays elsewhere")]
#[path = "../queue/redis_server.rs"]
mod redis_server;
mod reply_lost;
mod resolved;
mod row;
#[path = "../postgres/server.rs"]
mod server;
mod stage;
mod stopping;
mod storm;
mod table;
#[path = "../queue/waiting.rs"]
mod waiting;
mod watchman;
