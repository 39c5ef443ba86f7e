//! Where commands write. What came from elsewhere, as a name that another program has stored, must not
//! steer the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes on, without what steers a terminal. JSON has none of it.
#[derive(Debug)]
pub(super) struct Tame<W>(pub(super) W);

impl<W: Write> Write for Tame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(&tame(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The bytes with a space for each that steers a terminal; lines and tabs stay.
fn tame(bytes: &[u8]) -> Cow<'_, [u8]> {
    let steers = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
    if !bytes.iter().any(steers) {
        return Cow::Borrowed(bytes);
    }
    let tamed = bytes
        .iter()
        .map(|byte| if steers(byte) { b' ' } else { *byte });
    Cow::Owned(tamed.collect())
}

/// Writes a line to standard output. That nobody reads it any more (`… | head`) is no failure: a
/// service goes on, and what a check found is still its exit code.
///
/// # Errors
/// Standard output cannot be written, as on a full disk.
pub(super) fn say(line: impl Display) -> io::Result<()> {
    read_or_gone(writeln!(Tame(io::stdout().lock()), "{line}"))
}

/// Writes a line to standard error, where that is possible.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(Tame(io::stderr().lock()), "{line}");
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
    fn nothing_steers_the_terminal() {
        let mut out = vec![];
        let name = "ö\u{1b}[2J\r\u{7}\u{7f}b";
        writeln!(Tame(&mut out), "a\t{name}\n{}", serde_json::json!(name)).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.starts_with("a\tö [2J   b\n"), "{told}");
        assert!(told.contains("\\u001b[2J"), "{told}");
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        assert!(read_or_gone(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(read_or_gone(Err(ErrorKind::StorageFull.into())).is_err());
        assert!(read_or_gone(Ok(())).is_ok());
    }
}
