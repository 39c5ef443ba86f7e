//! What a command works with besides the store: where it writes, whom it asks, and what time it is.

use std::io::{self, IsTerminal, Read, Write};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;

/// More than this on standard input is no credentials.
const STDIN_MOST: u64 = 64 * 1024;

/// What a command works with.
pub struct Context<'a> {
    /// Standard output: what was asked for, and nothing else.
    pub out: &'a mut dyn Write,
    /// Standard error: warnings and what to do next.
    pub notes: &'a mut dyn Write,
    /// Who is asked for secrets.
    pub prompt: &'a mut dyn Prompt,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Context<'_> {
    /// Writes one JSON value, indented, to standard output.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        Ok(writeln!(self.out)?)
    }

    /// Warns of rows that could not be read; the others were listed.
    ///
    /// # Errors
    /// Standard error cannot be written.
    pub fn warn_of(&mut self, unreadable: &[crate::store::StoreError]) -> io::Result<()> {
        for error in unreadable {
            writeln!(self.notes, "warning: {error}")?;
        }
        Ok(())
    }
}

/// Where secrets come from. Never from the command's arguments: others can read those.
pub trait Prompt {
    /// Asks for a secret, without showing it.
    ///
    /// # Errors
    /// There is nobody to ask.
    fn ask(&mut self, what: &str) -> anyhow::Result<Zeroizing<String>>;

    /// All of standard input.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    fn stdin(&mut self) -> anyhow::Result<Zeroizing<String>>;
}

/// The terminal and standard input of this process.
#[derive(Clone, Copy, Debug)]
pub struct Terminal;

impl Prompt for Terminal {
    fn ask(&mut self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        if !io::stdin().is_terminal() {
            bail!(
                "there is no terminal to ask for the {what}: use --credentials-stdin or \
                 --credentials-file"
            );
        }
        let answer = rpassword::prompt_password(format!("{what}: "));
        let answer = answer.with_context(|| format!("the {what} could not be read"))?;
        Ok(Zeroizing::new(answer))
    }

    fn stdin(&mut self) -> anyhow::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::with_capacity(STDIN_MOST as usize));
        io::stdin()
            .lock()
            .take(STDIN_MOST)
            .read_to_string(&mut text)
            .context("standard input could not be read")?;
        Ok(text)
    }
}

/// Whether a command failed only because nobody reads its output any more (`… | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>();
        io.or(json.and_then(serde_json::Error::io_error_kind)) == Some(io::ErrorKind::BrokenPipe)
    })
}
