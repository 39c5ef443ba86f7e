//! vigia
pub mod domain;
