//! The data folder: one process holds it at a time.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::lock_file::{LockFile, NotTaken, Watched};

const LOCK_FILE: &str = "vigia.lock";
/// What the name of a database's file is followed by in that of its lock: as in those of SQLite's own
/// companions, and in no name of the data folder's.
const LOCK_SUFFIX: &str = "-lock";
/// A number that the kernel draws anew at each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How often whoever holds a folder is to say that it lives, see [`DataFolder::live`].
pub const SIGN_OF_LIFE: Duration = Duration::from_millis(100);
/// So long after its last sign a process may have lived: a loaded machine gives signs late.
const LATE_SIGN: Duration = Duration::from_millis(500);

/// Why a data folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it.
    #[error("another vigia ({holder}) holds this data folder: stop it, or use another --data-dir")]
    Held {
        /// Who, where and since when, in its own words.
        holder: String,
    },
    /// Another process, of another data folder, works with the database.
    #[error(
        "another vigia ({holder}) works with the database {path}: stop it, or use another database"
    )]
    DatabaseHeld {
        /// Who, where and since when, in its own words.
        holder: String,
        /// The database's file.
        path: String,
    },
    /// It cannot be made, read or locked.
    #[error(
        "the data folder {path} cannot be used: {cause}; check its owner and mode, or use another --data-dir"
    )]
    Unusable {
        /// The folder.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The lock of a database's file cannot be taken.
    #[error(
        "the lock {path} cannot be taken: {cause}; check its owner and mode, and those of its folder"
    )]
    DatabaseLock {
        /// The lock's file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
}

impl FolderError {
    /// Whether another process holds what is wanted.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::DatabaseHeld { .. })
    }
}

/// A data folder that this process holds until the value is dropped or the process ends, however
/// it ends: the lock is the operating system's.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: LockFile,
    holder: String,
    /// The lock of the database's file.
    database: Option<LockFile>,
}

/// The locks that keep other processes out.
#[derive(Clone, Debug)]
pub struct Locks(Vec<Watched>);

impl Locks {
    /// Who holds a lock now whose file was taken away from this process.
    pub fn taken_by(&self) -> Option<String> {
        self.0.iter().find_map(Watched::held_by)
    }
}

impl DataFolder {
    /// Makes the folder if there is none (mode 0700) and takes its lock without waiting. `holder`
    /// is what another process is told, see [`describe_holder`].
    ///
    /// # Errors
    /// [`FolderError::Held`] naming the holder; [`FolderError::Unusable`].
    pub fn lock(path: &Path, holder: &str) -> Result<Self, FolderError> {
        let unusable = |cause| FolderError::Unusable {
            path: path.display().to_string(),
            cause,
        };
        make_folder(path).map_err(unusable)?;
        let lock = LockFile::take(path.join(LOCK_FILE), holder).map_err(|not| match not {
            NotTaken::Held(holder) => FolderError::Held { holder },
            NotTaken::Unusable(cause) => unusable(cause),
        })?;
        Ok(Self {
            path: path.to_owned(),
            lock,
            holder: holder.to_owned(),
            database: None,
        })
    }

    /// Takes the lock of a database's file too, without waiting: others may come to it from other data
    /// folders. It stands beside the file, `vigia.db-lock` for `vigia.db`.
    ///
    /// # Errors
    /// [`FolderError::DatabaseHeld`] naming the holder; [`FolderError::DatabaseLock`].
    pub fn lock_database(&mut self, file: &Path) -> Result<(), FolderError> {
        self.database = Some(lock_of(file, &self.holder)?);
        Ok(())
    }

    /// The locks, for whoever looks whether they still keep others out.
    pub fn locks(&self) -> Locks {
        let locks = std::iter::once(&self.lock).chain(&self.database);
        Locks(locks.map(LockFile::watch).collect())
    }

    /// Says that its holder lives. It need not outlive the machine, only the process.
    pub fn live(&self) {
        self.lock.sign(&self.holder);
    }

    /// How long after `now` the process that held it before may have lived within the last
    /// `window`: what it asked of others then still counts there. Nothing where nobody held it.
    pub fn aftermath(&self, window: Duration, now: DateTime<Utc>) -> Duration {
        let most = LATE_SIGN + window;
        let Some(sign) = self.lock.held_before() else {
            return Duration::ZERO;
        };
        // A clock that was set back leaves it in the future.
        let since = (now - sign).to_std().unwrap_or_default();
        most.saturating_sub(since)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What only the holder of this folder can be: this boot of this machine, and the lock file on
    /// it. Whoever was the same before has ended, or it would hold the lock still.
    ///
    /// # Errors
    /// [`FolderError::Unusable`].
    pub fn instance(&self) -> Result<String, FolderError> {
        let unusable = |cause| FolderError::Unusable {
            path: self.path.display().to_string(),
            cause,
        };
        let boot = std::fs::read_to_string(BOOT_ID).map_err(unusable)?;
        let (device, inode) = self.lock.identity();
        Ok(format!("{} {device}:{inode}", boot.trim()))
    }
}

/// Says who holds a folder: `pid 123 on host alpha, since 2025-01-10T00:05:00Z`.
pub fn describe_holder(now: DateTime<Utc>) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "unknown",
        host => host,
    };
    let since = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("pid {} on host {host}, since {since}", std::process::id())
}

/// Makes a folder and those above it, for its owner only; one that exists stays as it is.
pub(crate) fn make_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The lock of a database's file, taken.
fn lock_of(file: &Path, holder: &str) -> Result<LockFile, FolderError> {
    let unusable = |path: &Path, cause| FolderError::DatabaseLock {
        path: path.display().to_string(),
        cause,
    };
    let place = place_of(file).map_err(|cause| unusable(file, cause))?;
    let mut name = place.into_os_string();
    name.push(LOCK_SUFFIX);
    let beside = PathBuf::from(name);
    LockFile::take(beside.clone(), holder).map_err(|not| match not {
        NotTaken::Held(holder) => FolderError::DatabaseHeld {
            holder,
            path: file.display().to_string(),
        },
        NotTaken::Unusable(cause) => unusable(&beside, cause),
    })
}

/// Where a file is, or will be, by whatever links somebody comes to it.
fn place_of(file: &Path) -> std::io::Result<PathBuf> {
    if file.exists() {
        return file.canonicalize();
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    let name = file.file_name().unwrap_or_default();
    Ok(folder.canonicalize()?.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_database_is_held_once_from_whichever_folders_and_by_whichever_links() {
        let above = tempfile::tempdir().unwrap();
        let path = |name: &str| above.path().join(name);
        let held = |told: Result<(), FolderError>| told.unwrap_err().to_string();
        let database = path("a").join("vigia.db");
        let mut first = DataFolder::lock(&path("a"), "pid 1").unwrap();
        first.lock_database(&database).unwrap();
        std::fs::write(&database, "").unwrap();
        std::os::unix::fs::symlink(&database, path("link.db")).unwrap();
        let mut second = DataFolder::lock(&path("b"), "pid 2").unwrap();
        for way in [&database, &path("link.db"), &path("b/../a/vigia.db")] {
            let told = held(second.lock_database(way));
            assert!(told.contains("(pid 1) works with"), "{told}");
        }
        // Another one beside it is another one, whatever it is called.
        for name in ["a/vigia.sqlite", "a/vigia", "a/vigia.lock"] {
            second.lock_database(&path(name)).unwrap();
        }
        drop(first);
        second.lock_database(&database).unwrap();
        // Nor from the folder that the database lies in.
        let mut third = DataFolder::lock(&path("a"), "pid 3").unwrap();
        let told = held(third.lock_database(&database));
        assert!(told.contains("(pid 2) works with"), "{told}");
        drop(second);
        third.lock_database(&database).unwrap();
    }

    #[test]
    fn a_lock_that_cannot_be_taken_is_named() {
        let above = tempfile::tempdir().unwrap();
        std::fs::create_dir(above.path().join("vigia.db-lock")).unwrap();
        let mut folder = DataFolder::lock(&above.path().join("data"), "pid 1").unwrap();
        let locked = folder.lock_database(&above.path().join("vigia.db"));
        let told = locked.unwrap_err().to_string();
        assert!(told.contains("vigia.db-lock cannot be taken"), "{told}");
    }

    #[test]
    fn one_holds_it_and_the_other_is_told_who_until_it_is_let_go() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("data");
        let first = DataFolder::lock(&path, "pid 1 on host a, since noon").unwrap();
        assert_eq!(first.path(), path);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let error = DataFolder::lock(&path, "pid 2").unwrap_err().to_string();
        assert_eq!(
            error,
            "another vigia (pid 1 on host a, since noon) holds this data folder: stop it, or use \
             another --data-dir"
        );
        drop(first);
        let _second = DataFolder::lock(&path, "pid 2").unwrap();
        let error = DataFolder::lock(&path, "pid 3").unwrap_err().to_string();
        assert!(error.contains("(pid 2)"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_refused_with_its_name() {
        let above = tempfile::tempdir().unwrap();
        let file = above.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataFolder::lock(&file, "me").unwrap_err().to_string();
        assert!(
            error.contains("file") && error.contains("--data-dir"),
            "{error}"
        );
    }

    #[test]
    fn what_the_holder_before_may_have_asked_counts_until_it_is_over() {
        const WINDOW: Duration = Duration::from_secs(1);
        let path = tempfile::tempdir().unwrap();
        let first = DataFolder::lock(path.path(), "pid 1").unwrap();
        assert_eq!(
            first.aftermath(WINDOW, DateTime::UNIX_EPOCH),
            Duration::ZERO
        );
        first.live();
        drop(first);
        let second = DataFolder::lock(path.path(), "pid 2").unwrap();
        let sign = second.lock.held_before().unwrap();
        let after = |ms| second.aftermath(WINDOW, sign + chrono::Duration::milliseconds(ms));
        assert_eq!(after(-5000), Duration::from_millis(1500));
        assert_eq!(after(300), Duration::from_millis(1200));
        assert_eq!(after(1500), Duration::ZERO);
    }

    #[test]
    fn a_holder_is_described_by_process_host_and_time() {
        let text = describe_holder(DateTime::UNIX_EPOCH);
        assert!(text.starts_with(&format!("pid {} on host ", std::process::id())));
        assert!(text.ends_with(", since 1970-01-01T00:00:00Z"), "{text}");
    }
}
