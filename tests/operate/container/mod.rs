//! The shipped image, built and run by a container engine on a machine that was booted for it.

mod composed;
mod engine;
mod image;
