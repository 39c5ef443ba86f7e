//! vigia
pub mod clock;
pub mod domain;
pub mod exchange;
pub mod supervision;
