//! A file whose lock one process holds at a time, and that says which: the lock is the operating
//! system's, and ends with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Result, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

/// More of a file is not shown.
const HOLDER_MOST: u64 = 300;

/// Device and inode.
type Identity = (u64, u64);

/// Why a lock was not taken.
pub(super) enum NotTaken {
    /// Another process has it: who, in its own words.
    Held(String),
    /// Its file cannot be used.
    Unusable(std::io::Error),
}

impl From<std::io::Error> for NotTaken {
    fn from(error: std::io::Error) -> Self {
        Self::Unusable(error)
    }
}

/// A lock that is held until the value is dropped.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    held_before: Option<DateTime<Utc>>,
}

impl LockFile {
    /// Takes it without waiting, and writes down who holds it. The file is made (mode 0600) where there
    /// is none.
    pub(super) fn take(path: PathBuf, holder: &str) -> std::result::Result<Self, NotTaken> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotTaken::Held(holder_of(&mut file))),
            Err(TryLockError::Error(cause)) => return Err(cause.into()),
        }
        let found = file.metadata()?;
        // One that was just made is empty.
        let held_before = if found.len() > 0 {
            Some(found.modified()?.into())
        } else {
            None
        };
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())?;
        file.sync_data()?;
        Ok(Self {
            identity: (found.dev(), found.ino()),
            path,
            file,
            held_before,
        })
    }

    /// Writes who holds it once more, which sets the time of its last change.
    pub(super) fn sign(&self, holder: &str) {
        // A disk that is full of others' files takes what was there before.
        let _ = self.file.write_all_at(holder.as_bytes(), 0);
    }

    /// When whoever held it before has last signed.
    pub(super) fn held_before(&self) -> Option<DateTime<Utc>> {
        self.held_before
    }

    /// Device and inode of the file.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Looks from now on whether it still keeps others out.
    pub(super) fn watch(&self) -> Watched {
        Watched {
            path: self.path.clone(),
            identity: self.identity,
        }
    }
}

fn holder_of(file: &mut File) -> String {
    let mut holder = String::new();
    let read = file.take(HOLDER_MOST).read_to_string(&mut holder);
    match (read, holder.trim()) {
        (Ok(_), text) if !text.is_empty() => text.to_owned(),
        _ => "it has not said which".to_owned(),
    }
}

/// The file of a lock that this process holds. Whoever takes the file away lets others in.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    path: PathBuf,
    identity: Identity,
}

impl Watched {
    /// Who holds the lock of another file that is in its place now.
    pub(super) fn held_by(&self) -> Option<String> {
        let found = std::fs::metadata(&self.path).ok()?;
        if (found.dev(), found.ino()) == self.identity {
            return None;
        }
        held(&self.path).ok().flatten()
    }
}

fn held(path: &Path) -> Result<Option<String>> {
    let mut file = File::open(path)?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(Some(holder_of(&mut file))),
        Err(TryLockError::Error(cause)) => Err(cause),
        Ok(()) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path, holder: &str) -> LockFile {
        match LockFile::take(path.to_owned(), holder) {
            Ok(lock) => lock,
            Err(NotTaken::Held(other)) => panic!("{other} holds it"),
            Err(NotTaken::Unusable(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn who_took_a_lock_whose_file_was_taken_away_is_seen_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = take(&path, "pid 1");
        let watched = first.watch();
        assert_eq!(watched.held_by(), None, "it is its own");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watched.held_by(), None, "nobody came");
        std::fs::write(&path, "pid 7").unwrap();
        assert_eq!(watched.held_by(), None, "a copy, which nobody holds");
        let second = take(&path, "pid 2");
        assert_eq!(watched.held_by().as_deref(), Some("pid 2"));
        assert_eq!(second.watch().held_by(), None);
        drop(second);
        assert_eq!(watched.held_by(), None, "who came has gone");
    }
}
