//! A supervised watchman for LN Markets accounts: it guards margin from live prices, and proves
//! what it did.
//!
//! Two promises decide the design. **Nothing lost**: a trigger that was accepted is carried out or
//! reported as failed, whatever dies meanwhile. **Nothing twice**: one trigger causes one effect on
//! the exchange, also after a crash, a retry, a lost reply, a restart.
//!
//! Reading order: [`domain`] decides everything, purely; [`journal`] holds every execution from
//! intent to outcome, on the [`store`]; [`exchange`] speaks to LN Markets; [`supervision`] starts
//! actors and learns of their end; [`actors`] tie these together (`actors.md` tells of each);
//! [`notify`] tells a receiver outside; [`app`] builds them, from [`config`]; [`cli`] and [`admin`]
//! are the ways in. [`telemetry`], [`meter`] and [`clock`] serve all; tests stop the house at a
//! [`failpoint`]. The [`simulator`] is an exchange of its own, and shares no code with the
//! rest. `docs/design-notes.md` follows one tick to its order; `tests/architecture` holds who may
//! know whom.

pub mod actors;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod exchange;
pub mod failpoint;
pub mod journal;
pub mod meter;
pub mod notify;
pub mod queue;
pub mod simulator;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod tls;
