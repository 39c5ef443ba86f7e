//! The tables as SeaORM sees them. Rows are turned into domain types one by one, so that one row
//! that cannot be read harms no other.

pub(crate) mod account;
pub(crate) mod arming;
pub(crate) mod audit;
pub(crate) mod automation;
pub(crate) mod execution;
pub(crate) mod kill_switch;
pub(crate) mod notification;
pub(crate) mod owner;
pub(crate) mod protection;
pub(crate) mod socket_attempt;
pub(crate) mod succession;
