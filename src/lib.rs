//! vigia
