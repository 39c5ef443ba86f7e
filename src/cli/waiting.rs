//! What stands in the file of intents and not in the store: whoever looks at the store alone is told.

use std::io;
use std::path::Path;

use super::context::Context;
use crate::journal::left_in;

/// That so many executions are not in the store yet, and when they will be.
pub(super) fn waiting(count: usize) -> String {
    let (executions, are) = match count {
        1 => ("execution", "is"),
        _ => ("executions", "are"),
    };
    format!(
        "{count} {executions} {are} in the file of intents and not in the database yet: the running \
         service hands over when its database answers, otherwise the next `vigia run` or `vigia \
         check` does"
    )
}

/// Warns where something waits.
///
/// # Errors
/// Standard error cannot be written.
pub(super) fn warn(folder: &Path, context: &mut Context<'_>) -> io::Result<()> {
    match left_in(folder) {
        Ok(0) => Ok(()),
        Ok(count) => writeln!(context.notes, "warning: {}", waiting(count)),
        Err(error) => writeln!(context.notes, "warning: {error}"),
    }
}
