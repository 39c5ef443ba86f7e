//! The client of the exchange over real sockets: against the simulated exchange, and, where an
//! answer is wanted that no exchange would give, against a server that answers from a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod cross;
mod cross_answers;
mod isolated;
mod lookup;
mod no_name;
mod scripted;
mod stage;
mod stream;
mod unreadable;
