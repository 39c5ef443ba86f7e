//! The crate's workers: one that takes jobs, and those of earlier outages, which take none any more
//! but keep the locks of what they have in hand, and record what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bullmq::Worker;
use bullmq::worker::WorkerEvent;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::forward::Forward;
use super::hands::Hands;
use super::heartbeat::{Heartbeat, PERIOD, Pause, RETRY};
use super::link::Link;
use crate::queue::consumer::Inlet;

/// A worker that has not begun by then is given up, and another one made.
const START_DEADLINE: Duration = Duration::from_secs(2);
/// A worker that takes nothing any more is let go after so long, with what it has in hand.
const RETIREMENT: Duration = Duration::from_secs(3600);

/// Serves until the consumer is closed or gone.
pub(super) async fn serve(shared: Arc<Shared>, inlet: Inlet) {
    let Inlet {
        taken,
        health,
        mut stop,
    } = inlet;
    let link = Link::new(health, shared.clock);
    let mut crew = Crew {
        hands: Arc::new(Hands::new(
            Arc::clone(&shared),
            taken,
            link.clone(),
            stop.clone(),
        )),
        shared,
        link,
        taking: None,
        retired: vec![],
        forward: Forward::default(),
        tasks: JoinSet::new(),
    };
    tokio::select! {
        () = Inlet::stopped(&mut stop) => {}
        () = crew.watch() => {}
    }
    crew.close().await;
}

struct Crew {
    shared: Arc<Shared>,
    hands: Arc<Hands>,
    link: Link,
    /// The worker that takes jobs; none while Redis does not answer.
    taking: Option<Arc<Worker>>,
    retired: Vec<Arc<Worker>>,
    forward: Forward,
    /// Listens to each worker, and closes the retired ones.
    tasks: JoinSet<()>,
}

impl Crew {
    /// Never ends: takes jobs whenever Redis answers.
    async fn watch(&mut self) {
        let mut heartbeat = loop {
            match Heartbeat::new(&self.shared) {
                Ok(heartbeat) => break heartbeat,
                Err(cause) => self.link.lost(&cause),
            }
            sleep(PERIOD).await;
        };
        loop {
            let pause = match heartbeat.beat().await {
                Ok(pause) if self.take().await => {
                    self.link.beat(pause != Pause::None);
                    self.share_room().await;
                    if pause == Pause::None {
                        let (take, now) = (self.shared.options.take, self.shared.clock.mono());
                        self.forward.beat(&mut heartbeat, take, now).await;
                    }
                    self.obey(pause, &mut heartbeat).await
                }
                Ok(_) => RETRY,
                Err(cause) => {
                    self.link.lost(&cause);
                    self.retire();
                    RETRY
                }
            };
            while self.tasks.try_join_next().is_some() {}
            tokio::select! {
                () = sleep(pause) => {}
                () = self.link.suspected() => {}
            }
        }
    }

    /// Fetching makes jobs that have become due wait, also in a paused queue; in one that is paused
    /// apart they would be lost. Returns when to look again.
    async fn obey(&self, pause: Pause, heartbeat: &mut Heartbeat) -> Duration {
        let Some(worker) = &self.taking else {
            return RETRY;
        };
        if pause != Pause::Apart {
            if worker.is_paused() {
                worker.resume();
            }
            return PERIOD;
        }
        if !worker.is_paused() {
            worker.pause();
        }
        // What came before the pause was seen, and what had stalled. A failure is seen by the beat.
        let _ = heartbeat.set_apart().await;
        RETRY
    }

    /// Sees to it that a worker takes jobs. Whether one does.
    async fn take(&mut self) -> bool {
        if self.taking.is_some() {
            return true;
        }
        match timeout(START_DEADLINE, self.start()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.link.lost(&error.to_string()),
            Err(_) => self.link.lost("it does not answer"),
        }
        false
    }

    async fn start(&mut self) -> bullmq::Result<()> {
        let room = self.room().await;
        self.hands.connect().await?;
        let hands = Arc::clone(&self.hands);
        let carry_out = move |job: bullmq::Job, _| {
            let hands = Arc::clone(&hands);
            async move { hands.carry_out(job).await }
        };
        let options = self.shared.worker_options(room);
        let worker = Worker::with_options(&self.shared.options.name, carry_out, options).await?;
        let worker = Arc::new(worker);
        self.tasks
            .spawn(listen(Arc::clone(&worker), self.link.worker()));
        self.taking = Some(worker);
        Ok(())
    }

    /// The worker that took jobs takes none any more; the connections that it has may be dead.
    fn retire(&mut self) {
        if let Some(worker) = self.taking.take() {
            self.link.retired();
            self.retired.push(Arc::clone(&worker));
            self.tasks.spawn(async move {
                // Ends when nothing is in hand any more. Fails never.
                let _ = worker.close(millis(RETIREMENT)).await;
            });
        }
    }

    async fn share_room(&mut self) {
        let room = self.room().await;
        if let Some(worker) = &self.taking {
            worker.set_concurrency(room);
        }
    }

    /// How many jobs the worker may have in hand. What retired ones have counts; what is parked does
    /// not.
    async fn room(&mut self) -> usize {
        let mut in_hand = 0;
        let mut still = vec![];
        for worker in self.retired.drain(..) {
            let count = worker.active_count().await;
            if count > 0 {
                in_hand += count;
                still.push(worker);
            }
        }
        self.retired = still;
        let room = self.shared.options.take + self.link.count_parked();
        room.saturating_sub(in_hand).max(1)
    }

    /// Ends when nothing is in hand any more.
    async fn close(&mut self) {
        self.retire();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Jobs in hand wait for Redis to record what became of them; they would for ever.
        self.link.leave();
    }
}

/// Reads all events of a worker, which it keeps until they are read.
async fn listen(worker: Arc<Worker>, link: Link) {
    while let Some(event) = worker.next_event().await {
        match event {
            WorkerEvent::Error(cause) => link.suspect(&cause),
            WorkerEvent::Stalled { job_id } => {
                tracing::warn!(event = "job.stalled", job = job_id);
            }
            WorkerEvent::Closed => break,
            _ => {}
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
