//! Supervision: starting actors so that somebody learns of their end, and bringing them back. No
//! trading in here.
//!
//! actix alone restarts nothing after a panic, and a panic is invisible from outside. So every
//! actor is started by [`start`], which owns the actor's future, catches its panic before the
//! context is dropped and tells the parent. The parent keeps a [`Ward`] for each child and starts a
//! fresh value when [`crate::domain::restart`] says so.

pub mod failpoint;
mod panic_hook;
mod progress;
mod slot;
mod start;
mod ward;
pub mod watchdog;

pub use panic_hook::install_panic_hook;
pub use progress::{Late, Marker, Progress};
pub use slot::{Gone, Slot};
pub use start::{Child, ChildExit, Exit, OwnerGone, parent, start};
pub use ward::Ward;
