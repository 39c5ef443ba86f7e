//! The end of the queue at which jobs come out, the same for both backends.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{Health, Taken};

/// Hands out jobs until it is closed. Dropped, it ends at once: what is in hand is handed out again
/// when its lease has run out.
#[derive(Debug)]
pub struct Consumer {
    taken: mpsc::Receiver<Taken>,
    health: watch::Receiver<Health>,
    stop: watch::Sender<bool>,
    task: Task,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a backend's task is given.
pub(super) struct Inlet {
    /// Where jobs go. Has room for all that may be in hand.
    pub(super) taken: mpsc::Sender<Taken>,
    /// Where it tells how it is.
    pub(super) health: watch::Sender<Health>,
    /// True from when it is to end.
    pub(super) stop: watch::Receiver<bool>,
}

impl Inlet {
    /// Ends when the consumer is being closed or is gone.
    pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
        // An error means that the consumer is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

impl Consumer {
    /// Starts a backend's task, which ends by itself soon after `stop`, when nothing is in hand.
    pub(super) fn start<F>(take: usize, serve: impl FnOnce(Inlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, taken) = mpsc::channel(take.max(1));
        let (health, seen) = watch::channel(Health::default());
        let (stop, stopping) = watch::channel(false);
        let inlet = Inlet {
            taken: sender,
            health,
            stop: stopping,
        };
        Self {
            taken,
            health: seen,
            stop,
            task: Task(tokio::spawn(serve(inlet))),
        }
    }

    /// The next job. Waits for one; none only when the consumer's task has ended by a panic.
    pub async fn next(&mut self) -> Option<Taken> {
        self.taken.recv().await
    }

    /// How the queue is, now and whenever that changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Takes nothing more, hands back what was not received, and waits until all that is in hand
    /// is settled and recorded; at most for `deadline`. Returns whether all was.
    pub async fn close(mut self, deadline: Duration) -> bool {
        self.stop.send_replace(true);
        // What waits here is handed back as it is dropped.
        drop(self.taken);
        tokio::time::timeout(deadline, &mut self.task.0)
            .await
            .is_ok()
    }
}
