//! Panics go to the log as one line, without a backtrace: symbols loaded by a first backtrace stop
//! a thread for a tenth of a second.

use std::panic;

/// Installs the hook, once for the process.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(event = "panic", place, "{text}");
    }));
}
