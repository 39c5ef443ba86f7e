//! Everything vigia decides, as pure functions of what is known: no input or output, no clock,
//! no randomness of its own. Times and random numbers are passed in.
//!
//! Reading order: [`units`], [`position`] and [`maths`] say what a trade is; [`rules`] what an
//! automation wants; [`arming`] when it may act; [`execution`] what becomes of an act;
//! [`book`] and [`connection`] how the account is known; [`restart`] how actors come back.

pub mod arming;
pub mod audit;
pub mod backoff;
pub mod book;
pub mod connection;
pub mod credentials;
pub mod execution;
pub mod ids;
pub mod jobs;
pub mod kill_switch;
pub mod levels;
pub mod maths;
pub mod nearness;
pub mod notice;
pub mod position;
pub mod price;
pub mod proof;
pub mod protection;
pub mod restart;
pub mod rules;
pub mod text;
pub mod units;
