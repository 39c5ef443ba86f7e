//! The shipped unit under a systemd that was booted for it: what is only said elsewhere happens here.

mod death;
pub mod machine;
pub mod page;
pub mod service;
mod standby;
mod walls;
