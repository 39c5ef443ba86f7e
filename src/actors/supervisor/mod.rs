//! `Supervisor`: the root: starts everything, brings back what dies, and keeps what runs in step
//! with what is stored.
//!
//! - Owner: `App`. It never dies of a child.
//! - Owns: audit log, health reporter, price feeds, intake, and one connection for each account.
//! - In: `ChildExit`, `Stop`, its own timer. Out: `Plans` and `FeedStarted` to connections,
//!   `Served` and `Drain` to the intake.
//! - Bound: as many connections as there are accounts.
//! - Death: a bug; the process ends and its service manager starts it again; the journal makes that
//!   safe.
//! - Stop: intake first, executors get their deadline, then connections, feeds, audit log.

mod desired;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;

use super::connection::{Connection, FeedStarted, Plans};
use super::intake::{Drain, Intake, Served};
use super::job_desk::{CloseDesk, JobDesk};
use super::shared::{Account, Shared, View};
use super::{AuditLog, AutomationPlan, HealthReporter, PriceFeed};
use crate::domain::connection::{Health, Transport};
use crate::domain::ids::AccountId;
use crate::domain::restart::{Tenure, Verdict};
use crate::exchange::RateBudget;
use crate::store::{self, StoreError};
use crate::supervision::{Child, ChildExit, OwnerGone, Slot, Ward, parent, start};
use crate::telemetry::{AccountTag, Event};
use desired::{Desired, desired};

/// How often a stopping service looks whether its executions have ended.
const DRAIN_BEAT: Duration = Duration::from_millis(10);

/// So many looks in a row that find nothing in hand mean that all has ended.
const DRAIN_CALM: u32 = 3;

/// Stops taking work and lets running executions end. Answers how many were still in hand when the
/// deadline came.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Stop;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Part {
    AuditLog,
    HealthReporter,
    Intake,
    JobDesk,
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
    feeds: HashMap<String, Child<PriceFeed>>,
    connections: HashMap<AccountId, Child<Connection>>,
    plans: HashMap<AccountId, Vec<AutomationPlan>>,
    /// What could not be used and was told, so that it is told once.
    told: HashSet<String>,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor that has started nothing yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            wards: HashMap::new(),
            audit_log: None,
            health_reporter: None,
            intake: None,
            job_desk: None,
            feeds: HashMap::new(),
            connections: HashMap::new(),
            plans: HashMap::new(),
            told: HashSet::new(),
            stopping: false,
        }
    }

    fn name(&self, part: &Part) -> String {
        match part {
            Part::AuditLog => "audit_log".to_owned(),
            Part::HealthReporter => "health_reporter".to_owned(),
            Part::Intake => "intake".to_owned(),
            Part::JobDesk => "job_desk".to_owned(),
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
            Part::Feed(network) => {
                let Some(of) = self.shared.networks.get(&network).cloned() else {
                    return;
                };
                let slot = of.feed.clone();
                let make = move |_: &mut _| PriceFeed::new(shared, of);
                let child = start(&trading, &name, generation, end, exits, make);
                slot.fill(child.addr().clone());
                self.feeds.insert(network, child);
                for connection in self.connections.values() {
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
                self.connections.insert(id, child);
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

    fn refresh(&mut self, context: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let reading = async move { desired(&shared.store).await };
        let read = |desired: Result<(Desired, Vec<String>), StoreError>,
                    supervisor: &mut Self,
                    context: &mut Context<Self>| {
            match desired {
                Ok((desired, unusable)) => {
                    for text in unusable {
                        supervisor.tell_once(text);
                    }
                    supervisor.follow(desired, context);
                }
                Err(error) => tracing::error!(event = "store.failed", %error),
            }
            context.run_later(supervisor.shared.tuning.refresh, Self::refresh);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(reading).map(read));
    }

    fn tell_once(&mut self, text: String) {
        if self.told.insert(text.clone()) {
            tracing::error!(event = "config.unusable", "{text}");
        }
    }

    /// Ends what should no longer run, starts what should, and passes on what changed.
    fn follow(&mut self, desired: Desired, context: &mut Context<Self>) {
        let gone: Vec<_> = self
            .shared
            .accounts
            .load()
            .keys()
            .filter(|id| !desired.accounts.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.end_account(&id);
        }
        for (id, (stored, plans)) in desired.accounts {
            if !self.shared.accounts.load().contains_key(&id) {
                self.plans.insert(id.clone(), plans);
                self.add_account(stored, context);
            } else if self.plans.get(&id) != Some(&plans) {
                self.plans.insert(id.clone(), plans.clone());
                if let Some(connection) = self.connections.get(&id) {
                    connection.addr().do_send(Plans(plans));
                }
            }
        }
    }

    fn add_account(&mut self, stored: store::Account, context: &mut Context<Self>) {
        let Some(network) = self.shared.networks.get(&stored.network).cloned() else {
            let known: Vec<_> = self.shared.networks.keys().map(String::as_str).collect();
            self.tell_once(format!(
                "account {}: its network {} is not configured; known are {}",
                stored.name,
                stored.network,
                known.join(", ")
            ));
            return;
        };
        let shared = Arc::clone(&self.shared);
        let id = stored.id.clone();
        let unsealing = async move { shared.store.credentials(&id).await };
        let unsealed = move |credentials, supervisor: &mut Self, context: &mut Context<Self>| {
            let credentials = match credentials {
                Ok(credentials) => Arc::new(credentials),
                Err(error) => {
                    let error: StoreError = error;
                    supervisor.tell_once(format!("account {}: {error}", stored.name));
                    return;
                }
            };
            let id = stored.id.clone();
            if supervisor.stopping || supervisor.shared.accounts.load().contains_key(&id) {
                return;
            }
            let rate = RateBudget::new(supervisor.shared.tuning.key_rate, supervisor.shared.clock);
            let account = Arc::new(Account {
                tag: AccountTag {
                    id: id.clone(),
                    name: stored.name.as_str().into(),
                },
                user: stored.user_id.clone(),
                rest: network.rest.spending(rate.clone()),
                network,
                credentials,
                rate,
                view: ArcSwap::default(),
                lineage: ArcSwap::default(),
                connection: Slot::new("connection"),
            });
            supervisor.shared.accounts.rcu(|accounts| {
                let mut accounts = (**accounts).clone();
                accounts
                    .entry(id.clone())
                    .or_insert_with(|| Arc::clone(&account));
                accounts
            });
            let network = stored.network.clone();
            if !supervisor.feeds.contains_key(&network) {
                supervisor.start_part(Part::Feed(network), context);
            }
            supervisor.start_part(Part::Connection(id.clone()), context);
            // An intake that is being restarted finds the account served.
            supervisor.shared.intake.tell(Served(id));
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(unsealing).map(unsealed));
    }

    fn end_account(&mut self, id: &AccountId) {
        let part = Part::Connection(id.clone());
        let name = self.name(&part);
        self.wards.remove(&name);
        self.clear_slot(&part);
        self.plans.remove(id);
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            accounts.remove(id);
            accounts
        });
        tracing::info!(event = "actor.stopped", actor = name);
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.start_part(Part::AuditLog, context);
        self.start_part(Part::HealthReporter, context);
        self.start_part(Part::Intake, context);
        self.start_part(Part::JobDesk, context);
        self.refresh(context);
    }
}

impl Handler<ChildExit> for Supervisor {
    type Result = ();

    fn handle(&mut self, exit: ChildExit, context: &mut Context<Self>) {
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
        let (actor, cause) = (exit.child, exit.exit.to_string());
        self.shared.events.emit(Event::ActorDied {
            actor: actor.clone(),
            cause: cause.clone(),
        });
        let pause = match verdict {
            Verdict::Restart { attempt, delay } => {
                let delay_ms = delay.as_millis() as u64;
                self.shared.events.emit(Event::ActorRestarting {
                    actor,
                    attempt,
                    delay_ms,
                });
                delay
            }
            Verdict::Quarantine { retry } => {
                let retry_s = retry.as_secs();
                self.shared.events.emit(Event::ActorQuarantined {
                    actor,
                    cause,
                    retry_s,
                });
                self.set_aside(&part);
                retry
            }
        };
        context.run_later(pause, move |supervisor, context| {
            if supervisor.waits_for_start(&part) {
                supervisor.start_part(part, context);
            }
        });
    }
}

impl Handler<Stop> for Supervisor {
    type Result = ResponseActFuture<Self, usize>;

    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        self.stopping = true;
        self.shared.intake.tell(Drain);
        let shared = Arc::clone(&self.shared);
        let draining = async move {
            let deadline = shared.clock.mono() + shared.tuning.stop_deadline;
            // Jobs first: what runs is settled with the queue, what has not begun is handed back.
            // Where the desk is being restarted, their leases run out.
            let closing = shared.job_desk.ask(CloseDesk(shared.tuning.stop_deadline));
            let _ = tokio::time::timeout(shared.tuning.stop_deadline, closing).await;
            // What was given out just before may not be in hand yet.
            let mut calm = 0;
            while calm < DRAIN_CALM && shared.clock.mono() < deadline {
                tokio::time::sleep(DRAIN_BEAT).await;
                calm = if shared.in_hand.is_empty() {
                    calm + 1
                } else {
                    0
                };
            }
            shared.in_hand.len()
        };
        let drained = |left, supervisor: &mut Self, context: &mut Context<Self>| {
            supervisor.connections.clear();
            supervisor.feeds.clear();
            supervisor.job_desk = None;
            supervisor.intake = None;
            supervisor.audit_log = None;
            supervisor.health_reporter = None;
            context.stop();
            left
        };
        Box::pin(actix::fut::wrap_future::<_, Self>(draining).map(drained))
    }
}

#[cfg(feature = "failpoints")]
mod crash {
    use super::*;
    use crate::actors::connection::CrashAutomation;
    use crate::domain::ids::AutomationId;
    use crate::supervision::failpoint::{Crash, Place};

    /// Crashes an actor by the name it has in logs.
    #[derive(Message)]
    #[rtype(result = "()")]
    pub struct CrashActor(pub String, pub Place);

    impl Handler<CrashActor> for Supervisor {
        type Result = ();

        fn handle(&mut self, CrashActor(actor, place): CrashActor, _: &mut Context<Self>) {
            let crash = Crash(place);
            match self.wards.get(&actor).map(|(part, _)| part) {
                Some(Part::AuditLog) => drop(self.shared.audit_log.tell(crash)),
                Some(Part::HealthReporter) => drop(self.shared.health.tell(crash)),
                Some(Part::Intake) => drop(self.shared.intake.tell(crash)),
                Some(Part::JobDesk) => drop(self.shared.job_desk.tell(crash)),
                Some(Part::Feed(network)) => drop(self.shared.networks[network].feed.tell(crash)),
                Some(Part::Connection(id)) => {
                    if let Some(child) = self.connections.get(id) {
                        child.addr().do_send(crash);
                    }
                }
                None => {
                    let id = AutomationId::new(actor.trim_start_matches("automation/"));
                    for connection in self.connections.values() {
                        connection
                            .addr()
                            .do_send(CrashAutomation(id.clone(), place));
                    }
                }
            }
        }
    }
}

#[cfg(feature = "failpoints")]
pub use crash::CrashActor;
