//! A disk of a few MiB: in memory, with a real limit, mounted over a folder. Only root may mount one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when it is dropped.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Lays a disk of so many MiB over a folder, with what the folder holds.
    pub fn over(folder: &Path, mib: u32) -> Self {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).unwrap();
        fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700")])
            .arg("tmpfs")
            .arg(folder)
            .status()
            .unwrap();
        assert!(mounted.success(), "this test mounts a disk: run it as root");
        let disk = Self {
            at: folder.to_owned(),
        };
        let copied = Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", aside.display()))
            .arg(folder)
            .status();
        assert!(copied.unwrap().success());
        fs::remove_dir_all(&aside).unwrap();
        disk
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for chunk in [1 << 16, 1 << 12, 1] {
            let chunk = vec![1; chunk];
            loop {
                match ballast.write_all(&chunk) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(self.is_full());
    }

    /// Whether a new file finds no room.
    pub fn is_full(&self) -> bool {
        let path = self.at.join("one-more");
        let written = fs::write(&path, [1]);
        let _ = fs::remove_file(path);
        written.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
    }

    pub fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
