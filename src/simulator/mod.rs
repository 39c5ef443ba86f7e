//! A faithful LN Markets on this machine: REST v3 and Stream v1 over real sockets, with real
//! signatures, limits, trade maths and faults.
//!
//! It shares no code with the client side on purpose. Its signature check, its arithmetic and its
//! wire format are written against the protocol, so that a wrong client cannot hide behind an
//! equally wrong exchange. Where the protocol is unknown, it does what the fact sheet recommends.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use vigia::simulator::{AccountConfig, Simulator, SimulatorConfig};
//!
//! let mut config = SimulatorConfig::default();
//! config.accounts.push(AccountConfig::new("key", "secret", "phrase", 500_000));
//! let simulator = Simulator::start(config).await?;
//! println!("{} {}", simulator.api_url(), simulator.stream_url());
//! simulator.control().set_price(95_000.0)?;
//! simulator.stop().await;
//! # Ok(()) }
//! ```

mod account;
mod auth;
mod choices;
mod clock;
mod config;
mod control;
mod cross;
mod engine;
mod faults;
mod keys;
mod ledger;
mod limits;
mod money;
mod pacing;
mod rest;
mod server;
mod start;
mod stream;
mod tape;
mod tls;
mod trade;
mod wire;
mod world;

pub use choices::Choices;
pub use config::{
    ALL_SCOPES, AccountConfig, ParseAccountError, ProtocolWindows, SimulatorConfig, TRADING_SCOPES,
};
pub use control::{
    AccountSnapshot, Control, InvalidPrice, RequestCounts, SocketInfo, TooManyFaults,
};
pub use faults::{Fault, Injection};
pub use ledger::{LedgerEntry, LedgerKind, LedgerSource};
pub use limits::{Limit, Limits, Violations};
pub use pacing::{Cadence, ParsePacingError, Speed};
pub use start::{Simulator, SimulatorError};
pub use tape::{Candle, Tape, TapeError, WalkConfig};
pub use tls::Certificate;
pub use wire::{CrossOrderView, CrossPositionView, TradeView};
