//! `HealthReporter`: how every connection is, every price feed, the intake, the audit log and the queue
//! of jobs, on one line each, so that an operator can read the service's health in its logs.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: whose turn it is to be told.
//! - In: all events; `QueueSeen` when the queue of jobs has changed. Out: log lines.
//! - Bound: it falls behind by at most what the event channel holds; then it misses the oldest.
//! - Death: turns begin anew.
//! - Stop: nothing is lost.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::shared::{Account, Shared};
use crate::domain::connection::{Health, Transport};
use crate::domain::ids::AccountId;
use crate::queue;
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// How often it is looked whose turn it is to be told in full.
const BEAT: Duration = Duration::from_secs(1);

/// The queue of jobs has changed.
pub struct QueueSeen;

/// See the module's documentation.
pub struct HealthReporter {
    shared: Arc<Shared>,
    round: Round,
    /// What was last told of the queue: its link, and whether it is paused.
    queue: (&'static str, bool),
}

impl HealthReporter {
    /// A reporter that has counted nothing yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            round: Round::default(),
            queue: (queue::Health::default().link.as_str(), false),
        }
    }

    /// A line for each account up to the limit; above it a summary and a line for each account that
    /// is not healthy.
    fn report(&mut self, context: &mut Context<Self>) {
        let accounts = self.shared.accounts.load_full();
        let everyone = accounts.len() <= self.shared.tuning.health_lines;
        for account in accounts.values() {
            if everyone || account.view.load().health != Health::Live {
                self.line(account);
            }
        }
        if !everyone {
            let (mut live, mut over_sockets) = (0, 0);
            for account in accounts.values() {
                let view = account.view.load();
                live += usize::from(view.health == Health::Live);
                over_sockets += usize::from(view.transport == Transport::Websocket);
            }
            let (accounts, over_http) = (accounts.len(), accounts.len() - over_sockets);
            tracing::info!(
                event = "health.summary",
                accounts,
                live,
                over_sockets,
                over_http
            );
        }
        self.feed_lines(&accounts);
        self.intake_line();
        self.audit_line();
        self.queue_line();
        context.run_later(self.shared.tuning.health_period, Self::report);
    }

    /// Above the limit, a line for each account once in a while, one after the other.
    fn in_turn(&mut self, context: &mut Context<Self>) {
        let accounts = self.shared.accounts.load_full();
        if accounts.len() > self.shared.tuning.health_lines {
            let share = BEAT.as_secs_f64() / self.shared.tuning.health_full.as_secs_f64();
            for id in self
                .round
                .next(share, || accounts.keys().cloned().collect())
            {
                if let Some(account) = accounts.get(&id) {
                    self.line(account);
                }
            }
        }
        context.run_later(BEAT, Self::in_turn);
    }

    fn line(&self, account: &Account) {
        let (view, now) = (account.view.load(), self.shared.clock.mono());
        let age_ms = |at: std::time::Duration| now.saturating_sub(at).as_millis() as u64;
        let metrics = self.shared.events.metrics();
        let actor = format!("connection/{}", account.tag.name);
        let under_way = metrics.pool.by_account.load();
        tracing::info!(
            event = "health",
            account_id = %account.tag.id,
            account_name = %account.tag.name,
            state = %view.health,
            transport = %view.transport,
            book_age_ms = view.read_at.map(age_ms),
            price_age_ms = account.network.price.seen(now).map(|seen| seen.age.as_millis() as u64),
            positions = view.rows.len(),
            switches = view.switches,
            restarts = metrics.lives.of(&actor).restarts,
            backlog = under_way.get(&account.tag.id).copied().unwrap_or(0),
            uptime_s = now.as_secs(),
        );
    }
}

/// Accounts that take turns: each comes once in a round.
#[derive(Debug, Default)]
struct Round {
    left: VecDeque<AccountId>,
    all: usize,
    /// How many are due, in parts of one.
    due: f64,
}

impl Round {
    /// Those whose turn it is when this share of a round has passed.
    fn next(&mut self, share: f64, everybody: impl Fn() -> Vec<AccountId>) -> Vec<AccountId> {
        if self.left.is_empty() {
            self.left = everybody().into();
            self.all = self.left.len();
        }
        self.due += share * self.all as f64;
        let count = (self.due as usize).min(self.left.len());
        self.due -= count as f64;
        self.left.drain(..count).collect()
    }
}

/// Whoever serves all accounts.
impl HealthReporter {
    /// The price feeds of the networks that have accounts.
    fn feed_lines(&self, accounts: &HashMap<AccountId, Arc<Account>>) {
        let networks: BTreeMap<_, _> = accounts
            .values()
            .map(|account| (account.network.feed_name(), &account.network))
            .collect();
        let (now, freshness) = (self.shared.clock.mono(), &self.shared.tuning.freshness);
        for (actor, network) in networks {
            let price = &network.price;
            let life = self.shared.events.metrics().lives.of(&actor);
            let rooms = network.sockets.rooms();
            let state = match price.usable(now, freshness) {
                Some(_) => Health::Live,
                None => Health::Blind,
            };
            tracing::info!(
                event = "health.feed",
                actor,
                %state,
                transport = %price.transport(),
                price_age_ms = price.seen(now).map(|seen| seen.age.as_millis() as u64),
                levels = price.levels.read(),
                sockets = rooms.iter().map(|room| room.open).sum::<usize>(),
                new_sockets_left = rooms.iter().map(|room| room.new_left).sum::<usize>(),
                restarts = life.restarts,
                uptime_s = now.as_secs(),
            );
        }
    }

    fn intake_line(&self) {
        let metrics = self.shared.events.metrics();
        let (pool, life) = (&metrics.pool, metrics.lives.of("intake"));
        tracing::info!(
            event = "health.intake",
            state = life.standing.as_str(),
            backlog = pool.waiting.read() + pool.parked.read(),
            in_hand = pool.busy.read(),
            executors = pool.seats.read(),
            restarts = life.restarts,
            uptime_s = self.shared.clock.mono().as_secs(),
        );
    }

    fn audit_line(&self) {
        let life = self.shared.events.metrics().lives.of("audit_log");
        tracing::info!(
            event = "health.audit",
            state = life.standing.as_str(),
            restarts = life.restarts,
            uptime_s = self.shared.clock.mono().as_secs(),
        );
    }

    /// How the queue of jobs is; nothing in a dry run, which takes none.
    fn queue_line(&self) {
        if self.shared.dry_run {
            return;
        }
        let health = self.shared.jobs_health.borrow().clone();
        let queue::Health {
            paused,
            in_hand,
            resumptions,
            ..
        } = health;
        let state = health.link.as_str();
        let restarts = self.shared.events.metrics().lives.of("job_desk").restarts;
        if let Some((cause, since)) = health.link.trouble() {
            let lost_ms = (self.shared.clock.utc() - since).num_milliseconds();
            tracing::warn!(
                event = "health.queue",
                state,
                cause,
                lost_ms,
                paused,
                in_hand,
                resumptions,
                restarts
            );
        } else {
            tracing::info!(
                event = "health.queue",
                state,
                paused,
                in_hand,
                resumptions,
                restarts
            );
        }
    }
}

impl Actor for HealthReporter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("health_reporter.started", "");
        context.add_stream(self.shared.events.stream());
        let mut queue = self.shared.jobs_health.subscribe();
        // What it came to before is news to a reporter that has just begun.
        queue.mark_changed();
        context.add_stream(unfold(queue, queue_changed));
        context.run_later(self.shared.tuning.health_period, Self::report);
        self.in_turn(context);
    }
}

async fn queue_changed(
    mut seen: watch::Receiver<queue::Health>,
) -> Option<(QueueSeen, watch::Receiver<queue::Health>)> {
    seen.changed().await.ok()?;
    Some((QueueSeen, seen))
}

impl StreamHandler<QueueSeen> for HealthReporter {
    fn handle(&mut self, _: QueueSeen, _: &mut Context<Self>) {
        let now = {
            let health = self.shared.jobs_health.borrow();
            (health.link.as_str(), health.paused)
        };
        // Jobs come and go all the time; only what concerns all of them is told at once.
        if self.queue != now {
            self.queue = now;
            self.queue_line();
        }
    }
}

impl StreamHandler<Event> for HealthReporter {
    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        match event {
            Event::ConnectionState { account, .. } | Event::TransportSwitched { account, .. } => {
                if let Some(account) = self.shared.accounts.load().get(&account.id) {
                    self.line(account);
                }
            }
            _ => {}
        }
    }
}

crate::crashable!(HealthReporter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_round_everybody_is_told_once_and_at_an_even_pace() {
        const ACCOUNTS: usize = 1000;
        const BEATS: usize = 600;
        let everybody = || {
            let names = (0..ACCOUNTS).map(|n| AccountId::new(format!("a{n}")));
            names.collect::<Vec<_>>()
        };
        let mut round = Round::default();
        let mut told: HashMap<AccountId, usize> = HashMap::new();
        let mut most = 0;
        for _ in 0..2 * BEATS {
            let now = round.next(1.0 / BEATS as f64, everybody);
            most = most.max(now.len());
            for id in now {
                *told.entry(id).or_default() += 1;
            }
        }
        assert_eq!(told.len(), ACCOUNTS);
        let twice = told.values().filter(|times| **times == 2).count();
        assert!(
            twice >= ACCOUNTS - 2,
            "{twice} were told twice in two rounds"
        );
        assert_eq!(most, 2, "1,000 accounts in 600 beats");
    }
}
