//! Make before break: a second connection of an account beside the first, until it can do all that
//! the first one does; then they change places, and the first ends.
//!
//! The second has an [`Account`] of its own, so that neither sees the other's book: the same handles
//! to what others send to and learn from, a view of its own, and the credentials that are stored now.
//! What may fire is arbitrated by the store: for a few milliseconds the automations of both are armed,
//! and whichever writes an episode's execution down first is the one that fired it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::super::connection::{Bequest, Connection, SucceededBy, WhyNotLive};
use super::super::shared::Account;
use super::super::shown::Watches;
use super::desired::Access;
use super::restart::{Answer, RestartRefused};
use super::{Part, Supervisor};
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;
use crate::domain::restart::Tenure;
use crate::store;
use crate::supervision::{Child, OwnerGone, Ward, parent, start};
use crate::telemetry::Event;

/// How long the new one may take to say why it is not live.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// The new connection never will: the exchange refuses its credentials.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Unfit {
    /// Its account.
    pub account: AccountId,
    /// Which start it is.
    pub generation: u64,
    /// Why, in words.
    pub reason: String,
}

/// A connection that is to take another's place.
pub(super) struct Succession {
    pub(super) child: Child<Connection>,
    pub(super) ward: Ward,
    pub(super) account: Arc<Account>,
    pub(super) access: Access,
    pub(super) began: Duration,
    /// Looks at it when it should long have got live. Withdrawn when it has: a context polls all its
    /// timers whenever it handles a message.
    pub(super) overdue: SpawnHandle,
    /// Who asked; nobody where the stored credentials changed.
    pub(super) asker: Option<oneshot::Sender<Answer>>,
}

/// Credentials that could not be taken up.
pub(super) struct Failed {
    access: Access,
    /// They are tried again then, unless others are stored before.
    again_at: Duration,
}

impl Supervisor {
    /// Whether what is stored for an account may be tried now.
    pub(super) fn may_try(&self, stored: &store::Account) -> bool {
        self.failed.get(&stored.id).is_none_or(|failed| {
            failed.access != Access::of(stored) || self.shared.clock.mono() >= failed.again_at
        })
    }

    pub(super) fn begin_succession(
        &mut self,
        stored: &store::Account,
        credentials: Credentials,
        asker: Option<oneshot::Sender<Answer>>,
        context: &mut Context<Self>,
    ) -> Result<(), RestartRefused> {
        let id = stored.id.clone();
        if self.stopping {
            return Err(RestartRefused::Stopping);
        }
        if self.successions.contains_key(&id) {
            return Err(RestartRefused::Restarting);
        }
        let Some(present) = self.shared.accounts.load().get(&id).cloned() else {
            let problem = "it was added just now, or cannot be used; the log says which";
            return Err(RestartRefused::NotServed(problem.to_owned()));
        };
        if self.moves(stored) {
            let problem =
                "its network was changed; it is served there when its executions have ended";
            return Err(RestartRefused::NotServed(problem.to_owned()));
        }
        let network = Arc::clone(&present.network);
        let rate = network.key_rates.of(&credentials);
        let account = Arc::new(Account {
            tag: present.tag.clone(),
            user: stored.user_id.clone(),
            rest: network.rest.spending(rate.clone()),
            network,
            credentials: Arc::new(credentials),
            rate,
            view: ArcSwap::default(),
            lineage: Arc::clone(&present.lineage),
            connection: present.connection.clone(),
            watches: Watches::default(),
            leaves: Arc::clone(&present.leaves),
        });
        let succession = self.start_successor(account, Access::of(stored), asker, context);
        self.introduce(&id, &succession.child);
        self.shared.events.emit(Event::AccountRestarting {
            account: present.tag.clone(),
            because: match succession.asker {
                Some(_) => "asked",
                None => "credentials",
            },
        });
        self.successions.insert(id, succession);
        Ok(())
    }

    fn start_successor(
        &mut self,
        account: Arc<Account>,
        access: Access,
        asker: Option<oneshot::Sender<Answer>>,
        context: &mut Context<Self>,
    ) -> Succession {
        let began = self.shared.clock.mono();
        let mut ward = Ward::new(Tenure::Replaceable);
        let generation = ward.starts(began);
        let id = &account.tag.id;
        let plans = self.plans.get(id).cloned().unwrap_or_default();
        let (shared, supervisor) = (Arc::clone(&self.shared), context.address());
        let of = Arc::clone(&account);
        let overdue = context.run_later(self.shared.tuning.restart_within, {
            let id = id.clone();
            move |supervisor, context| supervisor.overdue(&id, generation, context)
        });
        let child = start(
            &self.shared.trading,
            self.name(&Part::Connection(id.clone())),
            generation,
            OwnerGone::End,
            parent(context),
            move |_| Connection::successor(shared, of, plans, generation, supervisor),
        );
        Succession {
            child,
            ward,
            account,
            access,
            began,
            overdue,
            asker,
        }
    }

    /// The first connection tells the second what no reading can; where there is none, nothing.
    fn introduce(&self, id: &AccountId, successor: &Child<Connection>) {
        match self.connections.get(id) {
            Some(old) => old
                .addr()
                .do_send(SucceededBy(Some(successor.addr().clone()))),
            None => successor.addr().do_send(Bequest::default()),
        }
    }

    /// A connection that died was started again beside its successor.
    pub(super) fn introduce_again(&self, id: &AccountId) {
        if let Some(succession) = self.successions.get(id) {
            self.introduce(id, &succession.child);
        }
    }

    pub(super) fn is_of(&self, id: &AccountId, generation: u64) -> bool {
        let succession = self.successions.get(id);
        succession.is_some_and(|succession| succession.ward.generation() == generation)
    }

    /// An end of a connection that is no death of an account's: of one whose place was taken, or of
    /// one that did not get to take another's.
    pub(super) fn settled(
        &mut self,
        generation: u64,
        how: &str,
        context: &mut Context<Self>,
    ) -> bool {
        if let Some(leaving) = self.leaving.remove(&generation) {
            context.cancel_future(leaving.overdue);
            self.completed(leaving.told);
            return true;
        }
        let mut successions = self.successions.iter();
        let died = successions.find(|(_, one)| one.ward.generation() == generation);
        let Some(id) = died.map(|(id, _)| id.clone()) else {
            return false;
        };
        self.fail(&id, how.to_owned(), self.shared.tuning.restart_within);
        true
    }

    /// It has not got live in time: why not?
    fn overdue(&mut self, id: &AccountId, generation: u64, context: &mut Context<Self>) {
        if !self.is_of(id, generation) {
            return;
        }
        let Some(succession) = self.successions.get(id) else {
            return;
        };
        let asking = succession.child.addr().send(WhyNotLive);
        let (id, within) = (id.clone(), self.shared.tuning.restart_within);
        let told = move |why: Result<String, _>, supervisor: &mut Self, _: &mut Context<Self>| {
            if supervisor.is_of(&id, generation) {
                let why = why.unwrap_or_else(|_| "it does not answer".to_owned());
                let reason = format!("after {} ms {why}", within.as_millis());
                supervisor.fail(&id, reason, within);
            }
        };
        let asking = asking.timeout(ANSWERS_WITHIN);
        context.spawn(actix::fut::wrap_future::<_, Self>(asking).map(told));
    }

    /// The old one stays; what is stored is not tried again by itself before the pause is over.
    fn fail(&mut self, id: &AccountId, reason: String, pause: Duration) {
        let Some(account) = self.shared.accounts.load().get(id).cloned() else {
            return;
        };
        let Some(succession) = self.successions.get(id) else {
            return;
        };
        if self.served.get(id) != Some(&succession.access) {
            self.shared.events.emit(Event::Alarm {
                account: account.tag.clone(),
                what: "credentials_refused",
                detail: format!("the account goes on with the credentials it had: {reason}"),
            });
        }
        let failed = Failed {
            access: succession.access.clone(),
            again_at: self.shared.clock.mono() + pause,
        };
        self.failed.insert(id.clone(), failed);
        let refused = RestartRefused::NotLive(reason);
        self.tell_refused(id, &refused);
        self.abandon(id, refused);
    }

    /// Ends the second connection, if there is one.
    pub(super) fn abandon(&mut self, id: &AccountId, refused: RestartRefused) {
        let Some(succession) = self.successions.remove(id) else {
            return;
        };
        if let Some(old) = self.connections.get(id) {
            old.addr().do_send(SucceededBy(None));
        }
        if let Some(asker) = succession.asker {
            let _ = asker.send(Err(refused));
        }
    }
}

impl Handler<Unfit> for Supervisor {
    type Result = ();

    fn handle(&mut self, unfit: Unfit, _: &mut Context<Self>) {
        if self.is_of(&unfit.account, unfit.generation) {
            let pause = self.shared.tuning.link.refused_pause;
            self.fail(&unfit.account, unfit.reason, pause);
        }
    }
}
