//! Credentials as they are entered: by prompt, by standard input or by a file of their owner.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use super::context::Prompt;
use crate::domain::credentials::Credentials;

/// A longer file holds no credentials.
const FILE_MOST: u64 = 64 * 1024;

/// Where the credentials come from. Without either flag, the terminal is asked.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct CredentialArgs {
    /// Read key, secret and passphrase from standard input: three lines, or JSON
    /// {"key", "secret", "passphrase"}
    #[arg(long)]
    pub credentials_stdin: bool,
    /// Read them from a file that only its owner may read, in the same form
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// Reads the credentials from where the arguments say.
    ///
    /// # Errors
    /// They cannot be read, or cannot be an API key's. Never repeats any part of them.
    pub fn read(&self, prompt: &mut dyn Prompt) -> anyhow::Result<Credentials> {
        let credentials = if let Some(path) = &self.credentials_file {
            let text = read_file(path)?;
            parse(&text).with_context(|| path.display().to_string())?
        } else if self.credentials_stdin {
            parse(&prompt.stdin()?).context("standard input")?
        } else {
            let mut ask = |what| prompt.ask(what).map(|answer| answer.trim().to_owned());
            Credentials::new(ask("API key")?, ask("API secret")?, ask("passphrase")?)
        };
        let unusable = credentials.unusable_parts();
        if !unusable.is_empty() {
            bail!(
                "the {} cannot be what the exchange gave: each part is printable text without \
                 blanks around it; enter them again",
                unusable.join(" and the ")
            );
        }
        Ok(credentials)
    }
}

fn read_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be opened"))?;
    // Of the open file, not of the path: nobody can swap it in between.
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("others may read {name}: run `chmod 600 {name}`, and consider the key known");
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_MOST as usize));
    file.take(FILE_MOST)
        .read_to_string(&mut text)
        .with_context(|| format!("{name} cannot be read"))?;
    Ok(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    key: String,
    secret: String,
    passphrase: String,
}

fn parse(text: &str) -> anyhow::Result<Credentials> {
    const FORM: &str = "give three lines (key, secret, passphrase), or JSON {\"key\": …, \
                        \"secret\": …, \"passphrase\": …}";
    if text.trim_start().starts_with('{') {
        // The error's own text may repeat what it could not read.
        let parts: Parts = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            anyhow::anyhow!("not the JSON expected at line {line}, column {column}: {FORM}")
        })?;
        return Ok(Credentials::new(parts.key, parts.secret, parts.passphrase));
    }
    let lines: Vec<_> = text.trim_end().lines().collect();
    match lines.as_slice() {
        [key, secret, passphrase] => Ok(Credentials::new(*key, *secret, *passphrase)),
        lines => bail!("there are {} lines: {FORM}", lines.len()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn clear(credentials: &Credentials) -> [String; 3] {
        [
            &credentials.key,
            &credentials.secret,
            &credentials.passphrase,
        ]
        .map(|part| part.expose_secret().to_owned())
    }

    #[test]
    fn three_lines_and_json_are_the_same() {
        for text in [
            "k\ns\np w\n",
            "k\r\ns\r\np w",
            r#"{"key": "k", "secret": "s", "passphrase": "p w"}"#,
        ] {
            assert_eq!(clear(&parse(text).unwrap()), ["k", "s", "p w"]);
        }
    }

    #[test]
    fn what_is_neither_is_refused_without_repeating_it() {
        for text in [
            "",
            "hunter2\n",
            "hunter2\na\nb\nc",
            r#"{"key": "hunter2"}"#,
            r#"{"key": "k", "secret": "s", "passphrase": "p", "hunter2": 1}"#,
            r#"{"key": ["hunter2"]}"#,
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains("three lines"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "k\ns\np").unwrap();
        let args = CredentialArgs {
            credentials_file: Some(file.path().to_owned()),
            ..CredentialArgs::default()
        };
        let mode =
            |mode| std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        mode(0o644);
        let error = args.read(&mut super::super::context::Terminal).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        mode(0o600);
        let credentials = args.read(&mut super::super::context::Terminal).unwrap();
        assert_eq!(clear(&credentials), ["k", "s", "p"]);
    }
}
