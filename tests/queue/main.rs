//! The job queue: BullMQ on a real Redis with the real npm package at the other end, and the table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bull;
mod cli;
mod network;
mod node;
mod outage;
mod outages;
#[allow(dead_code)] // not all of it is needed here
#[path = "../postgres/server.rs"]
mod postgres_server;
mod redis_server;
mod stage;
mod table;
mod waiting;
