//! Handing jobs out: one task that takes them, renews their leases, and records their outcomes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::entity::Model;
use super::lease::Abandoned;
use super::take::Choice;
use crate::failpoint;
use crate::queue::consumer::Inlet;
use crate::queue::{Health, Outcome, QueueError, Taken};

/// Between attempts while the database does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// Outcomes that are recorded side by side. Few enough that nobody else who writes waits long for them.
const RECORDED_AT_ONCE: usize = 16;

/// Serves until the consumer is closed and nothing is in hand, or it is gone.
pub(super) async fn serve(shared: Arc<Shared>, inlet: Inlet) {
    let Inlet {
        taken,
        health,
        mut stop,
    } = inlet;
    let mut hands = Hands {
        id: uuid::Uuid::new_v4().to_string(),
        takes: 0,
        taken,
        health,
        rows: HashMap::new(),
        settling: FuturesUnordered::new(),
        unrecorded: VecDeque::new(),
        unknown: None,
        renew_at: Duration::ZERO,
        recover_at: Duration::ZERO,
        first: true,
        shared: Arc::clone(&shared),
    };
    loop {
        let stopping = *stop.borrow_and_update();
        let pause = match hands.step(stopping).await {
            Ok(pause) => {
                hands.connected();
                pause
            }
            Err(error) => {
                hands.lost(&error);
                RETRY
            }
        };
        // After the step, which may have recorded the last: nothing else would wake this task.
        if stopping && hands.rows.is_empty() {
            return;
        }
        tokio::select! {
            changed = stop.changed() => if changed.is_err() { return },
            settled = hands.settling.next(), if !hands.settling.is_empty() => {
                hands.unrecorded.extend(settled);
                while let Some(Some(settled)) = hands.settling.next().now_or_never() {
                    hands.unrecorded.push_back(settled);
                }
            }
            () = shared.added.notified(), if !stopping => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Hands {
    shared: Arc<Shared>,
    /// Names this consumer in leases.
    id: String,
    takes: u64,
    taken: mpsc::Sender<Taken>,
    health: watch::Sender<Health>,
    /// What is in hand, by its number and lease.
    rows: HashMap<Hand, Model>,
    settling: FuturesUnordered<BoxFuture<'static, (Hand, Outcome)>>,
    /// Outcomes that are not recorded yet.
    unrecorded: VecDeque<(Hand, Outcome)>,
    /// A lease under which something may have been taken.
    unknown: Option<String>,
    renew_at: Duration,
    recover_at: Duration,
    first: bool,
}

/// One handing-out of a job: the same job may be handed out again while an earlier handing-out,
/// whose lease has run out, is not settled yet.
type Hand = (i64, String);

/// What came of taking.
enum Turn {
    /// Jobs; there may be more.
    Took,
    /// None: no room, or none waits.
    Nothing,
    /// None, but one waits that is due then.
    DueAt(i64),
}

impl Hands {
    /// Does all that is to be done now. Returns how long nothing will be.
    async fn step(&mut self, stopping: bool) -> Result<Duration, QueueError> {
        if let Some(lease) = self.unknown.clone() {
            self.shared.hand_back(lease).await?;
            self.unknown = None;
        }
        self.record().await?;
        self.renew().await?;
        self.recover().await?;
        let now = self.shared.clock.mono();
        let mut pause = self.shared.options.poll;
        pause = pause.min(self.renew_at.saturating_sub(now));
        pause = pause.min(self.recover_at.saturating_sub(now));
        if stopping {
            return Ok(pause);
        }
        loop {
            match self.take().await? {
                Turn::Took => {}
                Turn::Nothing => return Ok(pause),
                Turn::DueAt(due_at) => {
                    let wait = u64::try_from(due_at - self.shared.now()).unwrap_or(0);
                    return Ok(pause.min(Duration::from_millis(wait)));
                }
            }
        }
    }

    /// Several at once: they share a commit.
    async fn record(&mut self) -> Result<(), QueueError> {
        while !self.unrecorded.is_empty() {
            let some = self.unrecorded.iter().take(RECORDED_AT_ONCE);
            let recording = some.map(async |(hand, outcome)| match self.rows.get(hand) {
                Some(row) => self.shared.record(row, outcome).await,
                None => Ok(true),
            });
            let mut failed = Ok(());
            let mut again = VecDeque::new();
            for recorded in join_all(recording).await {
                let Some((hand, outcome)) = self.unrecorded.pop_front() else {
                    break;
                };
                match recorded {
                    Ok(ours) => self.recorded(&hand, ours),
                    Err(error) => {
                        failed = Err(error);
                        again.push_back((hand, outcome));
                    }
                }
            }
            if failed.is_err() {
                again.append(&mut self.unrecorded);
                self.unrecorded = again;
                return failed;
            }
        }
        Ok(())
    }

    fn recorded(&mut self, hand: &Hand, ours: bool) {
        if let Some(row) = self.rows.remove(hand) {
            if !ours {
                let error = "its lease ran out";
                tracing::warn!(event = "job.unsettled", job = row.id, error);
            }
            failpoint::pass("job.acknowledged", &row.id);
        }
    }

    async fn renew(&mut self) -> Result<(), QueueError> {
        let now = self.shared.clock.mono();
        if now < self.renew_at {
            return Ok(());
        }
        if !self.rows.is_empty() {
            let (numbers, mut leases): (Vec<_>, Vec<_>) = self.rows.keys().cloned().unzip();
            leases.sort_unstable();
            leases.dedup();
            self.shared.renew(numbers, leases).await?;
        }
        self.renew_at = now + self.shared.options.lock / 2;
        Ok(())
    }

    async fn recover(&mut self) -> Result<(), QueueError> {
        let now = self.shared.clock.mono();
        if now < self.recover_at {
            return Ok(());
        }
        let abandoned = match self.first && self.shared.alone {
            true => Abandoned::All,
            false => Abandoned::Lapsed,
        };
        self.shared.recover(abandoned).await?;
        self.first = false;
        self.recover_at = now + self.shared.options.stalled_every;
        Ok(())
    }

    async fn take(&mut self) -> Result<Turn, QueueError> {
        let room = self.shared.options.take.saturating_sub(self.rows.len());
        let mut in_hand = HashMap::new();
        for automation in self.rows.values().filter_map(|row| row.automation.clone()) {
            *in_hand.entry(automation).or_default() += 1;
        }
        let choice = Choice { room, in_hand };
        if room == 0 {
            return Ok(Turn::Nothing);
        }
        let waits = self.shared.look(&choice).await?;
        if !waits.due {
            return Ok(waits.next_due.map_or(Turn::Nothing, Turn::DueAt));
        }
        self.takes += 1;
        let lease = format!("{}:{}", self.id, self.takes);
        let rows = match self.shared.take(choice, lease.clone()).await {
            Ok(rows) => rows,
            Err(error) => {
                self.unknown = Some(lease);
                return Err(error);
            }
        };
        if rows.is_empty() {
            return Ok(Turn::Nothing);
        }
        for row in rows {
            let hand = (row.number, lease.clone());
            let (taken, settled) = Taken::new(row.job());
            let settles = hand.clone();
            self.settling
                .push(async move { (settles, settled.outcome().await) }.boxed());
            self.rows.insert(hand, row);
            // Has room for all that may be in hand; closed, what it is given is handed back.
            let _ = self.taken.try_send(taken);
        }
        Ok(Turn::Took)
    }

    fn connected(&self) {
        let in_hand = self.rows.len();
        let mut since = None;
        self.health.send_if_modified(|health| {
            let before = health.clone();
            since = health.connected();
            health.in_hand = in_hand;
            *health != before
        });
        if let Some(since) = since {
            let gap = self.shared.clock.utc() - since;
            tracing::info!(event = "queue.resumed", gap_ms = gap.num_milliseconds());
        }
    }

    fn lost(&self, error: &QueueError) {
        let now = self.shared.clock.utc();
        let mut news = false;
        self.health
            .send_modify(|health| news = health.lost(&error.to_string(), now));
        if news {
            tracing::warn!(event = "queue.lost", cause = %error);
        }
    }
}
