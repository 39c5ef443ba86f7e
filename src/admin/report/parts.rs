//! The parts of the service that serve every account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::actors::Shared;
use crate::domain::units::Price;
use crate::telemetry::metrics::Life;

/// The life of an actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LifeReport {
    /// `running`, `restarting` or `quarantined`.
    pub state: String,
    /// How often it was started again.
    pub restarts: u64,
    /// How it died last, if it has died.
    pub last_cause: Option<String>,
    /// When.
    pub died_at: Option<DateTime<Utc>>,
}

impl From<Life> for LifeReport {
    fn from(life: Life) -> Self {
        Self {
            state: life.standing.as_str().to_owned(),
            restarts: life.restarts,
            last_cause: life.last_cause,
            died_at: life.died_at,
        }
    }
}

/// One actor that serves everybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartReport {
    /// Its name in logs.
    pub actor: String,
    /// Its life.
    #[serde(flatten)]
    pub life: LifeReport,
    /// How much waits for it; `null` where nothing can, as whoever asks it waits for the answer, or
    /// where that is not known.
    pub backlog: Option<u64>,
}

/// What waits for executors, and who works.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntakeReport {
    /// Executions that wait for an executor, or for another of their account.
    pub waiting: u64,
    /// Executions that wait for a proof or their next try.
    pub parked: u64,
    /// Executors that have one in hand.
    pub busy: u64,
    /// Executors that were started.
    pub executors: u64,
    /// Executors that may be started.
    pub most: usize,
    /// Executors that have died.
    pub died: Vec<PartReport>,
}

/// The price feed of a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeedReport {
    /// The network.
    pub network: String,
    /// Its life.
    #[serde(flatten)]
    pub life: LifeReport,
    /// The last price.
    pub price: Option<Price>,
    /// Milliseconds since any source confirmed it.
    pub price_age_ms: Option<u64>,
    /// Prices that its socket has pushed.
    pub ticks: u64,
    /// Trigger levels that it holds.
    pub levels: u64,
}

/// The queue of jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueReport {
    /// `database` or `redis`.
    pub backend: String,
    /// `starting`, `connected`, `lost` (no jobs can be taken; live rules go on) or `off` (a dry run
    /// takes none).
    pub state: String,
    /// What is wrong, while it is lost.
    pub cause: Option<String>,
    /// Milliseconds since it was lost.
    pub lost_ms: Option<u64>,
    /// Whether somebody has paused it: then nothing is handed out.
    pub paused: bool,
    /// Jobs in hand, waiting or running.
    pub in_hand: usize,
    /// How often taking was resumed after an outage.
    pub resumptions: u64,
}

impl QueueReport {
    /// Looks at it.
    pub(in crate::admin) fn of(shared: &Shared) -> Self {
        let health = shared.jobs_health.borrow().clone();
        let trouble = health.link.trouble();
        let lost = trouble.map(|(_, since)| (shared.clock.utc() - since).num_milliseconds());
        let state = if shared.dry_run {
            "off"
        } else {
            health.link.as_str()
        };
        Self {
            backend: shared.jobs.backend().to_owned(),
            state: state.to_owned(),
            cause: trouble.map(|(cause, _)| cause.to_owned()),
            lost_ms: lost.and_then(|ms| u64::try_from(ms).ok()),
            paused: health.paused,
            in_hand: health.in_hand,
            resumptions: health.resumptions,
        }
    }
}

impl IntakeReport {
    pub(super) fn of(shared: &Shared) -> Self {
        let metrics = shared.events.metrics();
        let died = metrics.lives.of_kind("executor").into_iter();
        Self {
            waiting: metrics.pool.waiting.read(),
            parked: metrics.pool.parked.read(),
            busy: metrics.pool.busy.read(),
            executors: metrics.pool.seats.read(),
            most: shared.tuning.live_executions,
            died: died
                .map(|(actor, life)| PartReport {
                    actor,
                    life: life.into(),
                    backlog: None,
                })
                .collect(),
        }
    }
}

/// What waits to be told to the receiver outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotificationsReport {
    /// Whether a receiver is configured; otherwise nothing is written down.
    pub configured: bool,
    /// Notifications that wait to be delivered; `null` where the store did not answer.
    pub waiting: Option<u64>,
}

impl NotificationsReport {
    pub(super) fn of(shared: &Shared, waiting: Option<u64>) -> Self {
        Self {
            configured: shared.webhook.is_some(),
            waiting,
        }
    }
}

/// Actors of which there is one.
const SINGLE: [&str; 5] = [
    "audit_log",
    "health_reporter",
    "notifier",
    "job_desk",
    "intake",
];

pub(super) fn parts(shared: &Shared, notifications: &NotificationsReport) -> Vec<PartReport> {
    let metrics = shared.events.metrics();
    let backlog = |actor: &str| match actor {
        "intake" => Some(metrics.pool.waiting.read() + metrics.pool.parked.read()),
        "job_desk" => Some(shared.jobs_health.borrow().in_hand as u64),
        "notifier" => notifications.waiting,
        _ => None,
    };
    let part = |actor: &str| PartReport {
        actor: actor.to_owned(),
        life: metrics.lives.of(actor).into(),
        backlog: backlog(actor),
    };
    // Without a receiver there is no notifier.
    let is_there = |actor: &&str| *actor != "notifier" || notifications.configured;
    SINGLE.into_iter().filter(is_there).map(part).collect()
}

/// Feeds of the networks on which there is an account.
pub(super) fn feeds(shared: &Shared) -> Vec<FeedReport> {
    let (lives, now) = (&shared.events.metrics().lives, shared.clock.mono());
    let mut feeds: Vec<_> = shared
        .networks
        .iter()
        .filter(|(_, network)| network.feed.is_filled() || network.price.seen(now).is_some())
        .map(|(name, network)| {
            let seen = network.price.seen(now);
            FeedReport {
                network: name.clone(),
                life: lives.of(&format!("price_feed/{name}")).into(),
                price: seen.map(|seen| seen.price),
                price_age_ms: seen.map(|seen| seen.age.as_millis() as u64),
                ticks: network.price.ticks.read(),
                levels: network.price.levels.read(),
            }
        })
        .collect();
    feeds.sort_by(|a, b| a.network.cmp(&b.network));
    feeds
}
