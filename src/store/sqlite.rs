//! A database in a file of SQLite, and the connections to it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::error::StoreError;
use super::folder::make_folder;

/// How long SQLite itself waits for another process's lock: less than whoever waits for the store
/// does by default, so that they hear of the lock and not of a silence.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(4);
/// Connections that only read. When all are in use, a reader waits for one, as long as it wants.
const READERS: u32 = 4;
/// How long a reader waits for a connection at most, whatever its patience.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A database file.
#[derive(Clone, Debug)]
pub(super) struct File {
    path: PathBuf,
    /// Device and inode of what was opened.
    opened: Arc<OnceLock<(u64, u64)>>,
}

/// What [`File::make`] made, to be taken away again if opening fails.
pub(super) struct Made {
    file: Option<PathBuf>,
    folder: Option<PathBuf>,
}

impl File {
    /// Reads `sqlite://PATH`, `sqlite:PATH` (either with `?…`, which is not needed) or a path.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let is_url = url.starts_with("sqlite:");
        let path = match url.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None => url,
        };
        // A path may hold a question mark; only what looks like parameters is taken for them.
        let path = match path.rsplit_once('?') {
            Some((path, rest)) if is_url && rest.contains('=') && !rest.contains('/') => path,
            _ => path,
        };
        if path.is_empty() || path == ":memory:" {
            return Err(StoreError::Refused(
                "the store must be a file, or nothing would survive the process: give a path"
                    .to_owned(),
            ));
        }
        Ok(Self {
            path: path.into(),
            opened: Arc::default(),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what was opened is still what others find there. SQLite would go on with a file that was
    /// removed or replaced, and nothing of what it writes would be seen again.
    pub(super) fn stands(&self) -> Result<(), StoreError> {
        match (self.opened.get(), self.identity()) {
            (None, _) => Ok(()),
            (Some(opened), Some(found)) if *opened == found => Ok(()),
            _ => Err(StoreError::unavailable(format!(
                "{path} was moved, removed or replaced while it was open: put back the file that was \
                 there, or stop vigia, take away {path}-wal and {path}-shm, which belong to it, put there \
                 what should be, and start again",
                path = self.path.display()
            ))),
        }
    }

    fn identity(&self) -> Option<(u64, u64)> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Whether there is such a file.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Makes the file (mode 0600) and its folder (mode 0700) where there are none.
    pub(super) fn make(&self) -> Result<Made, StoreError> {
        let mut made = Made {
            file: None,
            folder: None,
        };
        if let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new(""))
            && !folder.exists()
        {
            make_folder(folder).map_err(|error| self.unusable(&error))?;
            made.folder = Some(folder.to_owned());
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match file {
            Ok(_) => made.file = Some(self.path.clone()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                made.undo();
                return Err(self.unusable(&error));
            }
        }
        Ok(made)
    }

    fn unusable(&self, error: &std::io::Error) -> StoreError {
        StoreError::unavailable(format!(
            "{}: {error}; check its owner and mode, or name another file",
            self.path.display()
        ))
    }

    /// Opens the connection that writes.
    pub(super) async fn connect_writer(&self) -> Result<DatabaseConnection, StoreError> {
        let connected = self.connect(1, false).await?;
        if let Some(found) = self.identity() {
            self.opened.get_or_init(|| found);
        }
        Ok(connected)
    }

    /// Opens the connections that read, which cannot write.
    pub(super) async fn connect_readers(&self) -> Result<DatabaseConnection, StoreError> {
        self.connect(READERS, true).await
    }

    async fn connect(&self, most: u32, only_reads: bool) -> Result<DatabaseConnection, StoreError> {
        // The URL only chooses the driver; the path goes in as a path, whatever characters it has.
        let mut options = ConnectOptions::new("sqlite://vigia");
        let path = self.path.clone();
        options
            .max_connections(most)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |sqlite| {
                let sqlite = configured(sqlite.filename(&path));
                if only_reads {
                    sqlite.pragma("query_only", "ON")
                } else {
                    sqlite
                }
            });
        Ok(Database::connect(options).await?)
    }
}

/// Of every connection, not of the first of a pool only.
fn configured(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Sealed credentials that are replaced do not stay behind, also not in pages that are freed,
        // which `FAST` would leave as they are.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_TIMEOUT)
}

impl Made {
    /// Takes away what was made, and nothing else.
    pub(super) fn undo(&self) {
        if let Some(file) = &self.file {
            for suffix in ["", "-wal", "-shm"] {
                let mut name = file.clone().into_os_string();
                name.push(suffix);
                // Nothing more can be done about a leftover than has been told already.
                let _ = std::fs::remove_file(name);
            }
        }
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parameters_of_a_url_are_left_out_of_the_path() {
        for (url, path) in [
            ("sqlite://data/vigia.db?mode=rwc", "data/vigia.db"),
            ("sqlite:///d/vigia.db", "/d/vigia.db"),
            ("sqlite:vigia.db?mode=rwc", "vigia.db"),
            ("sqlite:///d?a=b/vigia.db?mode=rwc", "/d?a=b/vigia.db"),
            ("sqlite:///d?a=b/vigia.db", "/d?a=b/vigia.db"),
            ("/d/vigia.db?a=b", "/d/vigia.db?a=b"),
        ] {
            assert_eq!(File::parse(url).unwrap().path(), Path::new(path), "{url}");
        }
    }
}
