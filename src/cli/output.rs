//! Where the commands that act by themselves write.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line to standard output. That nobody reads it any more (`… | head`) is no failure: a
/// service goes on, and what a check found is still its exit code.
///
/// # Errors
/// Standard output cannot be written, as on a full disk.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    read_or_gone(writeln!(io::stdout().lock(), "{line}"))
}

/// Writes a line to standard error, where that is possible.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn read_or_gone(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        assert!(read_or_gone(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(read_or_gone(Err(ErrorKind::StorageFull.into())).is_err());
        assert!(read_or_gone(Ok(())).is_ok());
    }
}
