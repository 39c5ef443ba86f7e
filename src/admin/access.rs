//! How the command line finds a running service: a file in the data folder with its address and a
//! token made at its start, for the folder's owner only.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

const FILE: &str = "admin.json";

/// Address and token of a running service.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request must bear.
    pub token: SecretString,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    address: SocketAddr,
    token: String,
}

impl Access {
    /// An access with a fresh token.
    pub fn fresh(address: SocketAddr) -> Self {
        let token = format!(
            "{}{}",
            uuid::Uuid::new_v4().simple(),
            uuid::Uuid::new_v4().simple()
        );
        Self {
            address,
            token: token.into(),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where the folder does not take it.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let path = folder.join(FILE);
        let stored = Stored {
            address: self.address,
            token: self.token.expose_secret().to_owned(),
        };
        // An old one may be left by a killed process, with any mode.
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        Ok(path)
    }

    /// Takes the file away, unless it is another service's by now.
    pub fn withdraw(&self, folder: &Path) {
        let token = self.token.expose_secret();
        if Self::read(folder).is_some_and(|found| found.token.expose_secret() == token) {
            // Left behind it would only lead to a closed door.
            let _ = std::fs::remove_file(folder.join(FILE));
        }
    }

    /// Reads the file; `None` where there is none that can be read.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(FILE)).ok()?;
        let stored: Stored = serde_json::from_slice(&text).ok()?;
        Some(Self {
            address: stored.address,
            token: stored.token.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_its_owners_and_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::fresh(SocketAddr::from(([127, 0, 0, 1], 1)));
        let path = access.write(folder.path()).unwrap();
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let read = Access::read(folder.path()).unwrap();
        assert_eq!(read.address, access.address);
        assert_eq!(read.token.expose_secret(), access.token.expose_secret());
    }

    #[test]
    fn whoever_ends_takes_its_own_file_away_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [1, 2].map(|port| {
            let access = Access::fresh(SocketAddr::from(([127, 0, 0, 1], port)));
            access.write(folder.path()).unwrap();
            access
        });
        first.withdraw(folder.path());
        let found = Access::read(folder.path()).unwrap();
        assert_eq!(found.address, second.address);
        second.withdraw(folder.path());
        assert!(Access::read(folder.path()).is_none());
    }
}
