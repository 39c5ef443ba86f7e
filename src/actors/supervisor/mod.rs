//! `Supervisor`: the root: starts everything, brings back what dies, and keeps what runs in step
//! with what is stored.
//!
//! - Owner: `App`. It never dies of a child.
//! - Owns: audit log, health reporter, notifier, price feeds, intake, and one connection for
//!   each account.
//! - In: `ChildExit`, `RestartAccount`, `Refresh`, `Stop`; `Ready` and `Unfit` from connections that
//!   are to take another's place; its own timer. Out: `Plans`, `FeedStarted`, `SucceededBy`, `Bequest`,
//!   `WhyNotLive`, `TookOver` and `Retire` to connections, `Served` and `Drain` to the intake.
//! - Bound: as many connections as there are accounts, and one more for each that is restarted.
//! - Death: a bug; the process ends and its service manager starts it again; the journal makes that
//!   safe.
//! - Stop: intake first, executors get their deadline, then connections, feeds, audit log.

mod accounts;
#[cfg(feature = "failpoints")]
mod crash;
mod desired;
mod idle;
mod places;
mod refresh;
mod restart;
mod stopping;
mod succession;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::prelude::*;

use super::connection::{Connection, FeedStarted};
use super::intake::Intake;
use super::job_desk::JobDesk;
use super::shared::{Shared, View};
use super::{AuditLog, AutomationPlan, HealthReporter, Notifier, PriceFeed, verdict};
use crate::domain::connection::{Health, Transport};
use crate::domain::ids::AccountId;
use crate::domain::restart::{Tenure, Verdict};
use crate::supervision::{Child, ChildExit, Marker, OwnerGone, Ward, parent, start};
use crate::telemetry::Event;

pub(super) use places::Ready;
pub use refresh::Refresh;
pub use restart::{RestartAccount, RestartRefused, Restarted};
pub use stopping::Stop;
pub(super) use succession::Unfit;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Part {
    AuditLog,
    HealthReporter,
    Intake,
    JobDesk,
    Notifier,
    Feed(String),
    Connection(AccountId),
}

/// See the module's documentation.
pub struct Supervisor {
    shared: Arc<Shared>,
    wards: HashMap<String, (Part, Ward)>,
    audit_log: Option<Child<AuditLog>>,
    health_reporter: Option<Child<HealthReporter>>,
    intake: Option<Child<Intake>>,
    job_desk: Option<Child<JobDesk>>,
    notifier: Option<Child<Notifier>>,
    feeds: HashMap<String, Child<PriceFeed>>,
    connections: HashMap<AccountId, Child<Connection>>,
    plans: HashMap<AccountId, Vec<AutomationPlan>>,
    /// With what of the store each account is served.
    served: HashMap<AccountId, desired::Access>,
    failed: HashMap<AccountId, succession::Failed>,
    successions: HashMap<AccountId, succession::Succession>,
    /// By their generation.
    leaving: HashMap<u64, places::Leaving>,
    refreshing: refresh::Refreshing,
    /// What could not be used and was told, so that it is told once.
    told: HashSet<String>,
    idle: idle::Idle,
    progress: Marker,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor that has started nothing yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        let limit = shared.tuning.progress + shared.tuning.store_answers;
        Self {
            progress: shared.progress.part("supervisor", limit),
            shared,
            wards: HashMap::new(),
            audit_log: None,
            health_reporter: None,
            intake: None,
            job_desk: None,
            notifier: None,
            feeds: HashMap::new(),
            connections: HashMap::new(),
            plans: HashMap::new(),
            served: HashMap::new(),
            failed: HashMap::new(),
            successions: HashMap::new(),
            leaving: HashMap::new(),
            refreshing: refresh::Refreshing::default(),
            told: HashSet::new(),
            idle: idle::Idle::default(),
            stopping: false,
        }
    }

    fn name(&self, part: &Part) -> String {
        match part {
            Part::AuditLog => "audit_log".to_owned(),
            Part::HealthReporter => "health_reporter".to_owned(),
            Part::Intake => "intake".to_owned(),
            Part::JobDesk => "job_desk".to_owned(),
            Part::Notifier => "notifier".to_owned(),
            Part::Feed(network) => format!("price_feed/{network}"),
            Part::Connection(id) => {
                let accounts = self.shared.accounts.load();
                let name = accounts
                    .get(id)
                    .map_or(id.as_str(), |account| &account.tag.name);
                format!("connection/{name}")
            }
        }
    }

    fn start_part(&mut self, part: Part, context: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let name = self.name(&part);
        let tenure = match part {
            Part::Connection(_) => Tenure::Replaceable,
            _ => Tenure::Essential,
        };
        let ward = self
            .wards
            .entry(name.clone())
            .or_insert_with(|| (part.clone(), Ward::new(tenure)));
        let generation = ward.1.starts(self.shared.clock.mono());
        let restarts = ward.1.restarts();
        let shared = Arc::clone(&self.shared);
        let exits = parent(context);
        let (trading, io) = (self.shared.trading.clone(), self.shared.io.clone());
        let end = OwnerGone::End;
        match part {
            Part::AuditLog => {
                let make = move |_: &mut _| AuditLog::new(shared);
                let child = start(&io, &name, generation, end, exits, make);
                self.shared.audit_log.fill(child.addr().clone());
                self.audit_log = Some(child);
            }
            Part::HealthReporter => {
                let make = move |_: &mut _| HealthReporter::new(shared);
                let child = start(&io, &name, generation, end, exits, make);
                self.shared.health.fill(child.addr().clone());
                self.health_reporter = Some(child);
            }
            Part::Intake => {
                let make = move |_: &mut _| Intake::new(shared);
                let child = start(&trading, &name, generation, end, exits, make);
                self.shared.intake.fill(child.addr().clone());
                self.intake = Some(child);
            }
            Part::JobDesk => {
                let make = move |_: &mut _| JobDesk::new(shared);
                let child = start(&io, &name, generation, end, exits, make);
                self.shared.job_desk.fill(child.addr().clone());
                self.job_desk = Some(child);
            }
            Part::Notifier => {
                let Some(webhook) = shared.webhook.clone() else {
                    return;
                };
                let make = move |_: &mut _| Notifier::new(shared, webhook);
                let child = start(&io, &name, generation, end, exits, make);
                self.shared.notifier.fill(child.addr().clone());
                self.notifier = Some(child);
            }
            Part::Feed(network) => {
                let Some(of) = self.shared.networks.get(&network).cloned() else {
                    return;
                };
                let slot = of.feed.clone();
                let make = move |_: &mut _| PriceFeed::new(shared, of);
                let child = start(&trading, &name, generation, end, exits, make);
                slot.fill(child.addr().clone());
                self.feeds.insert(network, child);
                let successors = self.successions.values().map(|one| &one.child);
                for connection in self.connections.values().chain(successors) {
                    connection.addr().do_send(FeedStarted);
                }
            }
            Part::Connection(id) => {
                let Some(account) = self.shared.accounts.load().get(&id).cloned() else {
                    return;
                };
                let slot = account.connection.clone();
                let plans = self.plans.get(&id).cloned().unwrap_or_default();
                let make = move |_: &mut _| Connection::new(shared, account, plans);
                let child = start(&trading, &name, generation, end, exits, make);
                slot.fill(child.addr().clone());
                self.connections.insert(id.clone(), child);
                self.introduce_again(&id);
            }
        }
        self.shared.events.emit(if restarts == 0 {
            Event::ActorStarted {
                actor: name,
                generation,
            }
        } else {
            Event::ActorRestarted {
                actor: name,
                restarts,
            }
        });
    }

    /// Whether a part that died still lacks a successor and is still wanted: its account may have
    /// been let go meanwhile, and taken up again by another.
    fn waits_for_start(&self, part: &Part) -> bool {
        let Part::Connection(id) = part else {
            return true;
        };
        self.shared.accounts.load().contains_key(id) && !self.connections.contains_key(id)
    }

    fn clear_slot(&mut self, part: &Part) {
        match part {
            Part::AuditLog => self.shared.audit_log.clear(),
            Part::HealthReporter => self.shared.health.clear(),
            Part::Intake => self.shared.intake.clear(),
            Part::JobDesk => self.shared.job_desk.clear(),
            Part::Notifier => self.shared.notifier.clear(),
            Part::Feed(network) => {
                if let Some(network) = self.shared.networks.get(network) {
                    network.feed.clear();
                }
            }
            Part::Connection(id) => {
                self.connections.remove(id);
                if let Some(account) = self.shared.accounts.load().get(id) {
                    account.connection.clear();
                }
            }
        }
    }

    fn set_aside(&self, part: &Part) {
        let Part::Connection(id) = part else { return };
        if let Some(account) = self.shared.accounts.load().get(id) {
            // What it knew grows old from now on: nothing is decided on it.
            let view = View {
                health: Health::Quarantined,
                ..View::default()
            };
            let from = account.view.swap(Arc::new(view)).health;
            self.shared.events.emit(Event::ConnectionState {
                account: account.tag.clone(),
                from,
                to: Health::Quarantined,
                transport: Transport::Http,
            });
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.start_part(Part::AuditLog, context);
        self.start_part(Part::HealthReporter, context);
        self.start_part(Part::Intake, context);
        self.start_part(Part::JobDesk, context);
        if self.shared.webhook.is_some() {
            self.start_part(Part::Notifier, context);
        }
        self.refresh(context);
    }
}

impl Handler<ChildExit> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit, context: &mut Context<Self>) {
        let how = format!("it {}", exit.exit);
        if self.settled(exit.generation, &how, context) {
            return;
        }
        let (now, roll) = (self.shared.clock.mono(), self.shared.clock.roll());
        let Some((part, ward)) = self.wards.get_mut(&exit.child) else {
            return;
        };
        let policy = &self.shared.tuning.restart;
        let Some(verdict) = ward.exited(&exit, now, policy, roll) else {
            return;
        };
        if self.stopping {
            return;
        }
        let part = part.clone();
        self.clear_slot(&part);
        let pause = verdict::tell(&self.shared.events, exit.child, &exit.exit, &verdict);
        if matches!(verdict, Verdict::Quarantine { .. }) {
            self.set_aside(&part);
        }
        context.run_later(pause, move |supervisor, context| {
            if supervisor.waits_for_start(&part) {
                supervisor.start_part(part, context);
            }
        });
    }
}

#[cfg(feature = "failpoints")]
pub use crash::CrashActor;
