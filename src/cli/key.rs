//! `vigia key`: the master key that seals credentials.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::context::Context;
use crate::store::Vault;
use crate::store::folder::make_folder;

/// Make the master key that seals credentials
#[derive(Args, Debug)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key and write it to a new file that only its owner may read
    Generate {
        /// The file; without it, the one that the configuration names
        #[arg(long, value_name = "FILE", conflicts_with = "print")]
        out: Option<PathBuf>,
        /// Print the key instead
        #[arg(long)]
        print: bool,
    },
}

/// Carries out `vigia key …`. `key_file` is the one that the configuration names.
///
/// # Errors
/// A file that is there already (it is never overwritten), or that cannot be written.
pub fn run(command: &KeyCommand, key_file: &Path, context: &mut Context<'_>) -> anyhow::Result<()> {
    let KeyCommand::Generate { out, print } = command;
    let key = Vault::generate_key_text()?;
    if *print {
        return Ok(writeln!(context.out, "{}", key.expose_secret())?);
    }
    let path = out.as_deref().unwrap_or(key_file);
    let name = path.display();
    write_new(path, key.expose_secret()).or_else(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            bail!(
                "{name} exists already and is not overwritten: what it sealed opens with nothing \
                 else; name another file with --out"
            );
        }
        Err(error).with_context(|| format!("{name} cannot be written"))
    })?;
    writeln!(context.out, "a new master key is in {name}")?;
    writeln!(
        context.notes,
        "keep a copy of it elsewhere: without it, every account's credentials must be entered again"
    )?;
    Ok(())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        make_folder(folder)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is none; nothing can be sealed under it yet.
        let _ = std::fs::remove_file(path);
    }
    written
}
