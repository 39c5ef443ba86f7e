//! vigia
pub mod domain;
pub mod journal;
pub mod store;
