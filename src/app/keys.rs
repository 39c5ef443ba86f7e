//! The master key: where it comes from, and making one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::{Settings, process_environment};
use crate::store::Vault;

/// Where systemd puts what a unit loads by `LoadCredential=`.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Opens the vault with the master key from `VIGIA_MASTER_KEY` or the key file.
///
/// # Errors
/// Where there is none, or it is no key, or others can read it.
pub fn open_vault(settings: &Settings) -> Result<Vault> {
    if let Some(text) = process_environment("VIGIA_MASTER_KEY") {
        return Vault::from_key_text(&text).context("VIGIA_MASTER_KEY");
    }
    let path = settings.key_file();
    if !path.exists() {
        bail!(
            "there is no master key at {}: make one with `vigia key generate`, or give it in \
             VIGIA_MASTER_KEY",
            path.display()
        );
    }
    let handed_over = process_environment(CREDENTIALS_DIRECTORY).map(PathBuf::from);
    let vault = match handed_over {
        Some(folder) if path.starts_with(&folder) => Vault::from_credential(&path),
        _ => Vault::from_file(&path),
    };
    vault.with_context(|| format!("the key file {}", path.display()))
}

/// Writes a fresh master key to a file that only its owner can read.
///
/// # Errors
/// Where the file exists or cannot be made.
pub fn write_key_file(path: &Path) -> Result<()> {
    use secrecy::ExposeSecret;
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the folder {}", folder.display()))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the key file {}", path.display()))?;
    let key = Vault::generate_key_text()?;
    writeln!(file, "{}", key.expose_secret())?;
    file.sync_all()?;
    Ok(())
}
