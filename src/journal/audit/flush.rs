//! Having the noted head reach the disk, on a thread of its own: nobody's order waits for it, and the
//! database's commits seldom meet it there.

use std::fs::File;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What has not reached the disk for so long may be lost with the machine's power; what a process has
/// noted outlives the process in any case.
const APART: Duration = Duration::from_secs(1);
/// One ring is heard, however often it rings meanwhile.
const BELL: usize = 1;

/// Flushes a file from time to time, while it is rung for. Dropped, it ends after what it has begun.
#[derive(Debug)]
pub(super) struct Flusher {
    bell: SyncSender<()>,
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    noted: AtomicI64,
    flushed: AtomicI64,
    failed: AtomicBool,
}

impl Flusher {
    /// Starts the thread. The file may be new: its folder is flushed with it, once.
    ///
    /// # Errors
    /// Where the system gives no thread or no handle.
    pub(super) fn start(file: &File, folder: &Path) -> Result<Self> {
        let (bell, rung) = sync_channel(BELL);
        let told = Arc::new(Told::default());
        let desk = Desk {
            file: file.try_clone()?,
            new_in: Some(folder.to_owned()),
            refused_at: None,
            told: Arc::clone(&told),
        };
        std::thread::Builder::new()
            .name("audit-head".to_owned())
            .spawn(move || desk.serve(&rung))?;
        Ok(Self { bell, told })
    }

    /// This head has been written.
    pub(super) fn ring(&self, seq: i64) {
        self.told.noted.store(seq, Ordering::Release);
        // A bell that rings already is heard.
        let _ = self.bell.try_send(());
    }

    /// The number of the last head that is known to be on the disk; 0 before the first.
    #[cfg(test)]
    pub(super) fn flushed(&self) -> i64 {
        self.told.flushed.load(Ordering::Acquire)
    }

    /// Whether the disk refuses.
    pub(super) fn has_failed(&self) -> bool {
        self.told.failed.load(Ordering::Acquire)
    }
}

struct Desk {
    file: File,
    /// The folder that does not surely know the file yet.
    new_in: Option<PathBuf>,
    /// What was noted when the disk last refused: the system takes that for written from then on, so only
    /// what is noted later says that the disk takes it again.
    refused_at: Option<i64>,
    told: Arc<Told>,
}

impl Desk {
    fn serve(mut self, rung: &Receiver<()>) {
        while rung.recv().is_ok() {
            while !self.flush() {
                // It is tried again, rung for or not.
                if rung.recv_timeout(APART) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
            std::thread::sleep(APART);
        }
    }

    fn flush(&mut self) -> bool {
        let noted = self.told.noted.load(Ordering::Acquire);
        match self.synced() {
            Ok(()) if self.refused_at.is_some_and(|refused| noted <= refused) => false,
            Ok(()) => {
                self.refused_at = None;
                self.told.failed.store(false, Ordering::Release);
                self.told.flushed.store(noted, Ordering::Release);
                true
            }
            Err(error) => {
                self.refused_at = Some(noted);
                if !self.told.failed.swap(true, Ordering::AcqRel) {
                    tracing::warn!(
                        event = "audit.head_unwritten", %error,
                        "a cut tail might not be seen after a loss of power"
                    );
                }
                false
            }
        }
    }

    fn synced(&mut self) -> Result<()> {
        self.file.sync_data()?;
        if let Some(folder) = &self.new_in {
            synced(folder)?;
            self.new_in = None;
        }
        Ok(())
    }
}

/// Makes the names in a folder outlive a loss of power.
pub(super) fn synced(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}
