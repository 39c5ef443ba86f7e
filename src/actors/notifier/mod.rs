//! `Notifier`: tells a receiver outside what happened, out of the outbox, again and again until it
//! was taken. Only where a receiver is configured.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: what it has told of each account's state, and when; what is not written down yet because
//!   the store is away.
//! - In: all events. Out: POSTs to the receiver.
//! - Bound: 4 accounts at once, one POST for each; `notify.most_waiting` rows in the outbox, beyond
//!   which the oldest are dropped and told of in the log; 1,000 things that are not written down yet.
//! - Death: what was told and not marked is told again, under the same id. What it knew of accounts is
//!   read from the outbox.
//! - Stop: what waits stays written down, for the next start.

mod round;
mod states;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use chrono::TimeDelta;

use self::round::{Round, round};
use self::states::{Known, States, restore, write};
use super::shared::Shared;
use crate::domain::backoff::Curve;
use crate::notify::Webhook;
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// How often it looks by itself at what is to be told.
const BEAT: Duration = Duration::from_secs(1);
/// How often the outbox is trimmed.
const TRIM: Duration = Duration::from_secs(10);
/// What was delivered or given up is kept so long, for `vigia notify list`.
const KEPT: TimeDelta = TimeDelta::days(7);
/// The longest pause while the receiver, or the store, does not answer: so soon after it is back, all
/// goes on.
const AWAY_MOST: Duration = Duration::from_secs(30);

/// See the module's documentation.
pub struct Notifier {
    shared: Arc<Shared>,
    webhook: Webhook,
    states: States,
    telling: bool,
    /// Something came while it was telling.
    again: bool,
    writing: bool,
    away: Option<Away>,
}

/// The receiver, or the store, does not answer.
struct Away {
    since: Duration,
    attempts: u32,
    until: Duration,
}

impl Notifier {
    /// A notifier that has told nothing yet.
    pub fn new(shared: Arc<Shared>, webhook: Webhook) -> Self {
        Self {
            shared,
            webhook,
            states: States::default(),
            telling: false,
            again: false,
            writing: false,
            away: None,
        }
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        self.look(context);
        self.tell(context);
        context.run_later(BEAT, Self::beat);
    }

    /// Writes down what is new of the accounts.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.writing {
            return;
        }
        let news = self.states.news(&self.shared);
        if news.is_empty() {
            return;
        }
        self.writing = true;
        let shared = Arc::clone(&self.shared);
        let writing = async move { write(&shared, news).await };
        let written = |written, notifier: &mut Self, context: &mut Context<Self>| {
            notifier.writing = false;
            notifier.states.note(written);
            notifier.tell(context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(writing).map(written));
    }

    /// Tells what waits.
    fn tell(&mut self, context: &mut Context<Self>) {
        if self.telling {
            self.again = true;
            return;
        }
        let now = self.shared.clock.mono();
        if self.away.as_ref().is_some_and(|away| now < away.until) {
            return;
        }
        self.telling = true;
        self.again = false;
        let (shared, webhook) = (Arc::clone(&self.shared), self.webhook.clone());
        let telling = async move { round(&shared, &webhook).await };
        let told = |round, notifier: &mut Self, context: &mut Context<Self>| {
            notifier.telling = false;
            notifier.told(round, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(telling).map(told));
    }

    fn told(&mut self, round: Round, context: &mut Context<Self>) {
        let now = self.shared.clock.mono();
        if let Some(cause) = round.away {
            self.stays_away(&cause, now);
            return;
        }
        if round.delivered > 0
            && let Some(away) = self.away.take()
        {
            let away_ms = now.saturating_sub(away.since).as_millis() as u64;
            tracing::info!(
                event = "notification.receiver_back",
                host = self.webhook.host(),
                away_ms
            );
        }
        if round.more || self.again {
            self.tell(context);
        }
    }

    fn stays_away(&mut self, cause: &str, now: Duration) {
        let host = self.webhook.host();
        let retry = self.shared.tuning.notices.retry;
        let curve = Curve {
            most: retry.most.min(AWAY_MOST),
            ..retry
        };
        let away = self.away.get_or_insert_with(|| {
            tracing::warn!(
                event = "notification.receiver_away",
                host,
                cause,
                "what is to be told waits in the outbox"
            );
            Away {
                since: now,
                attempts: 0,
                until: now,
            }
        });
        away.until = now + curve.delay(away.attempts, self.shared.clock.roll());
        away.attempts = away.attempts.saturating_add(1);
    }

    fn trim(&mut self, context: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        let trimming = async move {
            let most = shared.tuning.notices.most_waiting;
            let ended_before = shared.clock.utc() - KEPT;
            match shared.store.trim_outbox(most, ended_before).await {
                Ok(0) => {}
                Ok(dropped) => tracing::error!(
                    event = "notification.dropped",
                    dropped,
                    "the outbox was full: the oldest that waited are not told"
                ),
                // It is trimmed the next time.
                Err(error) => tracing::warn!(event = "store.failed", %error),
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(trimming));
        context.run_later(TRIM, Self::trim);
    }

    /// Begins when it is known what was told before.
    fn begin(&mut self, known: Known, context: &mut Context<Self>) {
        self.states.know(known);
        self.beat(context);
        self.trim(context);
    }
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("notifier.started", "");
        // What counts is in the outbox, or in the accounts' state: an event missed is no loss.
        context.add_stream(self.shared.events.stream());
        let shared = Arc::clone(&self.shared);
        let reading = async move { restore(&shared).await };
        let begin = |known, notifier: &mut Self, context: &mut Context<Self>| {
            notifier.begin(known, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(reading).map(begin));
    }
}

impl StreamHandler<Event> for Notifier {
    fn handle(&mut self, event: Event, context: &mut Context<Self>) {
        match event {
            Event::ConnectionState { .. } => self.look(context),
            Event::ActorQuarantined { actor, cause, .. } => {
                self.states.hold(&actor, cause, self.shared.clock.utc());
                self.look(context);
            }
            Event::Done { .. }
            | Event::Failed { .. }
            | Event::Uncertain { .. }
            | Event::LimitReached { .. }
            | Event::AccountPaused { .. } => self.tell(context),
            _ => {}
        }
    }

    // The stream ends with the process.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

crate::crashable!(Notifier);
