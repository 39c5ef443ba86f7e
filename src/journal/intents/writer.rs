//! The thread that writes the file of intents. What has queued up meanwhile is made durable at once.
//! Nobody else waits for the disk.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::file::{IntentsFile, Place};

/// How many frames may wait. An execution waits for its own before it goes on, so there are no more
/// than executions under way.
const QUEUE: usize = 4096;
/// How many frames are made durable at once at most.
const BATCH: usize = 256;
/// How long a disk may take; one that takes longer counts as failed.
const DEADLINE: Duration = Duration::from_secs(1);

/// Why something does not stand in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file of intents could not be written ({0})")]
pub(super) struct NotWritten(String);

/// What stands in the book and not in the journal, to be written anew where a half is full.
pub(super) type Standing = Box<dyn Fn() -> Vec<Vec<u8>> + Send>;

/// An answer of the thread.
#[derive(Debug)]
pub(super) struct Written(Option<oneshot::Receiver<Result<(), NotWritten>>>);

impl Written {
    /// Waits until it is durable.
    pub(super) async fn stands(self) -> Result<(), NotWritten> {
        let Some(answer) = self.0 else {
            return Err(NotWritten("too much waits to be written".to_owned()));
        };
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(NotWritten("its thread has ended".to_owned())),
            Err(_) => Err(NotWritten(format!("not within {DEADLINE:?}"))),
        }
    }
}

struct Order {
    /// `None`: a new generation of what stands.
    payload: Option<Vec<u8>>,
    written: oneshot::Sender<Result<(), NotWritten>>,
}

/// The handle of the thread, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    orders: SyncSender<Order>,
    filled: Arc<Filled>,
}

/// How full the file is, in bytes, for whoever looks.
#[derive(Debug, Default)]
struct Filled {
    used: AtomicU64,
    room: AtomicU64,
}

impl Filled {
    fn note(&self, file: &IntentsFile) {
        let (used, room) = file.filled();
        self.used.store(used, Ordering::Relaxed);
        self.room.store(room, Ordering::Relaxed);
    }
}

impl Writer {
    /// Starts the thread on an open file, or on one that is to be made when it can be.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn start(
        place: Place,
        file: Option<IntentsFile>,
        standing: Standing,
    ) -> std::io::Result<Self> {
        let (sender, orders) = sync_channel(QUEUE);
        let filled = Arc::new(Filled::default());
        if let Some(file) = &file {
            filled.note(file);
        }
        let desk = Desk {
            place,
            file,
            standing,
            filled: Arc::clone(&filled),
        };
        std::thread::Builder::new()
            .name("intents".to_owned())
            .spawn(move || desk.serve(&orders))?;
        Ok(Self {
            orders: sender,
            filled,
        })
    }

    /// Bytes that are written, and how many there are for them; none of a file that is not there.
    pub(super) fn filled(&self) -> (u64, u64) {
        let read = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        (read(&self.filled.used), read(&self.filled.room))
    }

    /// Hands a frame over; frames are written in this order.
    pub(super) fn append(&self, payload: Vec<u8>) -> Written {
        self.order(Some(payload))
    }

    /// Begins a new generation of what stands, so that a later reading is short.
    pub(super) fn renew(&self) -> Written {
        self.order(None)
    }

    fn order(&self, payload: Option<Vec<u8>>) -> Written {
        let (written, answer) = oneshot::channel();
        let taken = self.orders.try_send(Order { payload, written });
        Written(taken.is_ok().then_some(answer))
    }
}

struct Desk {
    place: Place,
    file: Option<IntentsFile>,
    standing: Standing,
    filled: Arc<Filled>,
}

impl Desk {
    fn serve(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match orders.try_recv() {
                    Ok(order) => batch.push(order),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            let renews = batch.iter().any(|order| order.payload.is_none());
            let payloads: Vec<_> = batch
                .iter_mut()
                .filter_map(|order| order.payload.take())
                .collect();
            let written = self.write(&payloads, renews);
            for order in batch {
                // Nobody waits: it was told that the disk took too long.
                let _ = order.written.send(written.clone());
            }
        }
    }

    fn write(&mut self, payloads: &[Vec<u8>], renews: bool) -> Result<(), NotWritten> {
        let written = self.try_write(payloads, renews);
        if let Some(file) = &self.file {
            self.filled.note(file);
        }
        written.map_err(|error| NotWritten(error.to_string()))
    }

    fn try_write(&mut self, payloads: &[Vec<u8>], renews: bool) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(IntentsFile::open(&self.place)?.0),
        };
        if renews {
            file.renew(&(self.standing)())?;
        }
        if payloads.is_empty() {
            return Ok(());
        }
        match file.append(payloads) {
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                file.renew(&(self.standing)())?;
                file.append(payloads)
            }
            written => written,
        }
    }
}
