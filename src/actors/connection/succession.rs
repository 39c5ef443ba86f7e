//! Taking another connection's place without a gap, and having one's own taken.
//!
//! Until it has taken over, a connection shows what it knows to its own automations only: in the
//! account's view that is its own. It reads the book, gets a socket if there is one to be had, and when
//! it is live its automations arm. When all of them stand it can do whatever the old one does.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::automation::{AutomationPlan, Stands};
use super::super::shared::{Account, Shared, View};
use super::super::supervisor::{Ready, Supervisor, Unfit};
use super::{Connection, cross};
use crate::domain::connection::{Health, Transport};
use crate::domain::ids::AutomationId;
use crate::exchange::ExchangeError;
use crate::telemetry::Event;

/// How long a socket that is being opened is waited for, before HTTP takes over alone.
const SOCKET_WITHIN: Duration = Duration::from_secs(5);

/// From now on it serves the account, which was shown like this until now.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct TookOver(pub Arc<View>);

/// Another has taken its place: it brings to an end what is being written down, and ends.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// Asks a connection that is to take over what it lacks.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "String")]
pub struct WhyNotLive;

/// Where a connection stands that has not taken over yet.
pub(super) struct Candidate {
    generation: u64,
    supervisor: Addr<Supervisor>,
    /// When it was told what no reading can tell.
    begun_at: Option<Duration>,
    pub(super) knows_lineage: bool,
    /// When its automations began to arm.
    live_at: Option<Duration>,
    unready: HashSet<AutomationId>,
    told: bool,
    last_error: Option<String>,
}

impl Connection {
    /// A connection that is to take the place of another.
    pub(in crate::actors) fn successor(
        shared: Arc<Shared>,
        account: Arc<Account>,
        plans: Vec<AutomationPlan>,
        generation: u64,
        supervisor: Addr<Supervisor>,
    ) -> Self {
        let candidate = Candidate {
            generation,
            supervisor,
            begun_at: None,
            knows_lineage: false,
            live_at: None,
            unready: HashSet::new(),
            told: false,
            last_error: None,
        };
        Self {
            candidate: Some(candidate),
            ..Self::new(shared, account, plans)
        }
    }

    /// Whether what happens to it happens to the account.
    pub(super) fn serves(&self) -> bool {
        self.candidate.is_none() && !self.retiring
    }

    /// It knows what no reading can tell. Returns whether it did not before.
    pub(super) fn begins(&mut self) -> bool {
        let now = self.now();
        let candidate = self.candidate.as_mut();
        candidate.is_some_and(|candidate| candidate.begun_at.replace(now).is_none())
    }

    /// Whether it may ask the exchange for anything.
    pub(super) fn has_begun(&self) -> bool {
        let candidate = self.candidate.as_ref();
        candidate.is_none_or(|candidate| candidate.begun_at.is_some())
    }

    /// Whether its automations run.
    pub(super) fn arms(&self) -> bool {
        let candidate = self.candidate.as_ref();
        !self.retiring && candidate.is_none_or(|candidate| candidate.live_at.is_some())
    }

    /// Whom an automation tells that it stands.
    pub(super) fn awaits(
        &mut self,
        id: &AutomationId,
        context: &Context<Self>,
    ) -> Option<Recipient<Stands>> {
        let candidate = self.candidate.as_mut()?;
        candidate.unready.insert(id.clone());
        Some(context.address().recipient())
    }

    pub(super) fn awaits_no_more(&mut self, id: &AutomationId) {
        if let Some(candidate) = &mut self.candidate {
            candidate.unready.remove(id);
        }
    }

    /// A reading was refused for good.
    pub(super) fn is_unfit(&self, error: &ExchangeError) {
        if let Some(candidate) = &self.candidate {
            candidate.supervisor.do_send(Unfit {
                account: self.account.tag.id.clone(),
                generation: candidate.generation,
                reason: error.to_string(),
            });
        }
    }

    pub(super) fn note_error(&mut self, error: &str) {
        if let Some(candidate) = &mut self.candidate {
            candidate.last_error = Some(error.to_owned());
        }
    }

    /// Takes the next step on its way to take over, if there is one to be taken now.
    pub(super) fn advance(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        let lacks = self.lacks(now);
        let Some(candidate) = &mut self.candidate else {
            return;
        };
        if candidate.live_at.is_none() && lacks.is_none() {
            candidate.live_at = Some(now);
            let ids: Vec<_> = self.automations.keys().cloned().collect();
            for id in ids {
                self.start_automation(&id, context);
            }
        }
        let Some(candidate) = &mut self.candidate else {
            return;
        };
        let Some(live_at) = candidate.live_at else {
            return;
        };
        if candidate.unready.is_empty() && !candidate.told {
            candidate.told = true;
            candidate.supervisor.do_send(Ready {
                account: self.account.tag.id.clone(),
                generation: candidate.generation,
                live_at,
                armed_at: now,
            });
        }
    }

    /// What it lacks to be as live as one that serves.
    fn lacks(&self, now: Duration) -> Option<String> {
        let candidate = self.candidate.as_ref()?;
        let Some(begun_at) = candidate.begun_at else {
            return Some("the old connection has not answered".to_owned());
        };
        if self.health != Health::Live {
            return Some(format!("it is {}", self.health));
        }
        if self.cross_access == cross::Access::Unknown {
            return Some("the cross account has not been read".to_owned());
        }
        if !candidate.knows_lineage {
            return Some("which trades took another's place has not been read".to_owned());
        }
        let opening = self.noting || self.link.has_socket();
        let awaited = opening && self.link.transport() == Transport::Http;
        if awaited && now < begun_at + SOCKET_WITHIN {
            return Some("its socket is being opened".to_owned());
        }
        None
    }

    /// Ends when nothing of it runs any more.
    pub(super) fn leave(&self, context: &mut Context<Self>) {
        let runs = |automated: &super::Automated| automated.child.is_some();
        if self.retiring && !self.automations.values().any(runs) {
            context.stop();
        }
    }
}

impl Handler<Stands> for Connection {
    type Result = ();

    fn handle(&mut self, Stands(id): Stands, context: &mut Context<Self>) {
        self.awaits_no_more(&id);
        self.advance(context);
    }
}

impl Handler<TookOver> for Connection {
    type Result = ();

    fn handle(&mut self, TookOver(shown): TookOver, _: &mut Context<Self>) {
        self.candidate = None;
        self.switches_before = shown.switches;
        self.balance = self.balance.or(shown.balance);
        let (account, transport) = (&self.account.tag, self.link.transport());
        if shown.transport != transport {
            self.switches_before += 1;
            self.shared.events.emit(Event::TransportSwitched {
                account: account.clone(),
                from: shown.transport,
                to: transport,
                gap_ms: 0,
                cause: "restarted",
            });
        }
        if shown.health != self.health {
            self.shared.events.emit(Event::ConnectionState {
                account: account.clone(),
                from: shown.health,
                to: self.health,
                transport,
            });
        }
        self.publish_view();
    }
}

impl Handler<Retire> for Connection {
    type Result = ();

    fn handle(&mut self, retire: Retire, context: &mut Context<Self>) {
        self.retiring = true;
        for child in self.children() {
            child.addr().do_send(retire);
        }
        self.leave(context);
    }
}

impl Handler<WhyNotLive> for Connection {
    type Result = String;

    fn handle(&mut self, _: WhyNotLive, _: &mut Context<Self>) -> String {
        let lacks = self.lacks(self.now()).or_else(|| {
            let unready = &self.candidate.as_ref()?.unready;
            let ids: Vec<_> = unready.iter().map(AutomationId::as_str).collect();
            Some(format!("not armed yet: automation {}", ids.join(", ")))
        });
        let lacks = lacks.unwrap_or_else(|| "it lacks nothing".to_owned());
        let candidate = self.candidate.as_ref();
        match candidate.and_then(|candidate| candidate.last_error.as_ref()) {
            Some(error) => format!("{lacks}; the last error: {error}"),
            None => lacks,
        }
    }
}
