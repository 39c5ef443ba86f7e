//! Changing places: the second connection of an account takes the first one's, which then ends.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::super::connection::{Connection, Retire, TookOver};
use super::super::intake::Served;
use super::restart::{Answer, Restarted};
use super::succession::Succession;
use super::{Part, Supervisor};
use crate::domain::connection::Transport;
use crate::domain::ids::AccountId;
use crate::supervision::Child;
use crate::telemetry::{AccountTag, Event};

/// How long the old connection may take to end: what its automations are writing down is brought to
/// its end.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// The new connection can do all that the old one does.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Ready {
    /// Its account.
    pub account: AccountId,
    /// Which start it is.
    pub generation: u64,
    /// When it was live, and began to arm.
    pub live_at: Duration,
    /// When all was armed.
    pub armed_at: Duration,
}

/// A connection whose place was taken.
pub(super) struct Leaving {
    child: Child<Connection>,
    /// Ends it when it should long have ended. Withdrawn when it has.
    pub(super) overdue: SpawnHandle,
    pub(super) told: Told,
}

/// What is told when the old connection has ended.
pub(super) struct Told {
    account: AccountTag,
    began: Duration,
    live_at: Duration,
    armed_at: Duration,
    transport: Transport,
    asker: Option<oneshot::Sender<Answer>>,
}

impl Supervisor {
    fn change_places(&mut self, ready: Ready, context: &mut Context<Self>) {
        let id = &ready.account;
        let Some(present) = self.shared.accounts.load().get(id).cloned() else {
            return;
        };
        let Some(succession) = self.successions.remove(id) else {
            return;
        };
        let Succession {
            child,
            ward,
            account,
            access,
            began,
            overdue,
            asker,
        } = succession;
        context.cancel_future(overdue);
        let told = Told {
            account: account.tag.clone(),
            began,
            live_at: ready.live_at,
            armed_at: ready.armed_at,
            transport: account.view.load().transport,
            asker,
        };
        // What was sent to the old one so far it passes on before it ends: all in one mailbox.
        self.enter(std::slice::from_ref(&account));
        account.connection.fill(child.addr().clone());
        child.addr().do_send(TookOver(present.view.load_full()));
        self.served.insert(id.clone(), access);
        self.failed.remove(id);
        let part = Part::Connection(id.clone());
        let (name, generation) = (self.name(&part), ward.generation());
        let before = self.wards.insert(name, (part, ward));
        let before = before.map(|(_, ward)| ward.generation());
        match (self.connections.insert(id.clone(), child), before) {
            (Some(old), Some(before)) => {
                old.addr().do_send(Retire);
                let id = id.clone();
                let overdue = context.run_later(LEAVES_WITHIN, move |supervisor, _| {
                    if let Some(leaving) = supervisor.leaving.get(&before) {
                        leaving.child.end();
                        // What it was writing down may stand, and nobody was told.
                        supervisor.shared.intake.tell(Served(id));
                    }
                });
                let leaving = Leaving {
                    child: old,
                    overdue,
                    told,
                };
                self.leaving.insert(before, leaving);
            }
            _ => self.completed(told),
        }
        self.shared.events.emit(Event::ActorStarted {
            actor: self.name(&Part::Connection(id.clone())),
            generation,
        });
    }

    pub(super) fn completed(&self, told: Told) {
        let now = self.shared.clock.mono();
        let restarted = Restarted {
            arming: told.armed_at.saturating_sub(told.live_at),
            handover: now.saturating_sub(told.armed_at),
            took: now.saturating_sub(told.began),
            transport: told.transport,
        };
        self.shared.events.emit(Event::AccountRestarted {
            account: told.account,
            arming_ms: restarted.arming.as_millis() as u64,
            handover_ms: restarted.handover.as_millis() as u64,
            took_ms: restarted.took.as_millis() as u64,
            transport: restarted.transport,
        });
        if let Some(asker) = told.asker {
            let _ = asker.send(Ok(restarted));
        }
    }
}

impl Handler<Ready> for Supervisor {
    type Result = ();

    fn handle(&mut self, ready: Ready, context: &mut Context<Self>) {
        if !self.stopping && self.is_of(&ready.account, ready.generation) {
            self.change_places(ready, context);
        }
    }
}
