//! The exchange's limits are never exceeded, whatever fails, and what is short goes to those in
//! danger: the real actors before a simulator that enforces its limits and counts what is beyond.
//! The figures are printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod best;
mod danger;
mod drops;
mod fleet;
mod polling;
mod restart;
mod soak;
mod stage;
