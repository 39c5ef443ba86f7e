//! The audit log: one entry for each executed action, each bound to the one before it by a keyed hash,
//! and the last one's noted outside of the database. So whoever changes the database without the master
//! key cannot change, take out, put in or reorder entries, nor cut off the last ones, without
//! [`Journal::verify_audit`] seeing it.
//!
//! Reading order: [`chain`] says what a hash covers; [`write`] adds an entry; [`head`] is the note
//! outside, [`flush`] has it reach the disk; [`verify`] walks the chain; [`list`] is for people.
//!
//! What it does not show: that the database *and* the file of the head were set back together to what
//! they were earlier. The log tells heads (`audit.head`), and logs are kept elsewhere.

mod chain;
mod flush;
mod head;
mod list;
mod rows;
mod verify;
mod write;

pub use chain::Link;
pub use head::HeadTrouble;
pub use list::{AuditFilter, AuditRow};
pub use rows::Exported;
pub use verify::{Flaw, Verified};

pub(super) use head::Witness;
pub(super) use write::{Pen, Written, standing};
