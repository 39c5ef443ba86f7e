//! `HealthReporter`: how every connection is, on one line each, so that an operator can read the
//! service's health in its logs.
//!
//! - Owner: `Supervisor`. Essential: never quarantined.
//! - Owns: the counts of restarts by actor.
//! - In: all events. Out: log lines.
//! - Bound: it falls behind by at most what the event channel holds; then it misses the oldest.
//! - Death: the counts of restarts start again at zero.
//! - Stop: nothing is lost.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;

use super::shared::{Account, Shared};
use crate::domain::connection::Health;
use crate::supervision::failpoint;
use crate::telemetry::Event;

/// See the module's documentation.
pub struct HealthReporter {
    shared: Arc<Shared>,
    restarts: HashMap<String, u64>,
}

impl HealthReporter {
    /// A reporter that has counted nothing yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            restarts: HashMap::new(),
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
            let live = |account: &&Arc<Account>| account.view.load().health == Health::Live;
            let live = accounts.values().filter(live).count();
            tracing::info!(event = "health.summary", accounts = accounts.len(), live);
        }
        context.run_later(self.shared.tuning.health_period, Self::report);
    }

    fn line(&self, account: &Account) {
        let (view, now) = (account.view.load(), self.shared.clock.mono());
        let age_ms = |at: std::time::Duration| now.saturating_sub(at).as_millis() as u64;
        let actor = format!("connection/{}", account.tag.name);
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
            restarts = self.restarts.get(&actor).copied().unwrap_or(0),
            in_hand = self.shared.in_hand.len(),
            uptime_s = now.as_secs(),
        );
    }
}

impl Actor for HealthReporter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        failpoint::pass("health_reporter.started", "");
        let events = unfold(self.shared.events.listen(), |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        context.add_stream(events);
        context.run_later(self.shared.tuning.health_period, Self::report);
    }
}

impl StreamHandler<Event> for HealthReporter {
    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        match event {
            Event::ActorRestarted { actor, restarts } => {
                self.restarts.insert(actor, restarts);
            }
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
