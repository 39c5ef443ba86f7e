//! Keeping in step with what is stored: which accounts are served, with which credentials, and what
//! each is watched for.

use std::sync::Arc;

use actix::prelude::*;
use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

use super::super::connection::Plans;
use super::super::intake::Served;
use super::super::shared::{Account, NetworkShared};
use super::super::shown::Watches;
use super::desired::{Access, Desired, Wanted};
use super::restart::RestartRefused;
use super::{AutomationPlan, Part, Supervisor};
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;
use crate::store;
use crate::supervision::Slot;
use crate::telemetry::{AccountTag, Event};

impl Supervisor {
    pub(super) fn tell_once(&mut self, text: String) {
        if self.told.insert(text.clone()) {
            tracing::error!(event = "config.unusable", "{text}");
        }
    }

    /// Ends what should no longer run, starts what should, and passes on what changed.
    pub(super) fn follow(&mut self, desired: Desired, context: &mut Context<Self>) {
        self.shared.expected.set(desired.accounts.keys().cloned());
        self.idle.follow(desired.off);
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
        for (id, wanted) in desired.accounts {
            if self.moves(&wanted.stored) {
                if wanted.is_owed {
                    let name = &wanted.stored.name;
                    self.tell_once(format!(
                        "account {name}: its network was changed; it is served there when its \
                         executions have ended"
                    ));
                    continue;
                }
                // Nothing of what it has here is there: no place is to be kept.
                self.end_account(&id);
            }
            let Wanted {
                stored,
                plans,
                credentials,
                ..
            } = wanted;
            let credentials = match credentials.transpose() {
                Ok(credentials) => credentials,
                Err(error) => {
                    self.tell_once(format!("account {}: {error}", stored.name));
                    None
                }
            };
            let present = self.shared.accounts.load().get(&id).cloned();
            match (present, credentials) {
                (None, Some(credentials)) => {
                    self.plans.insert(id, plans);
                    self.add_account(&stored, credentials, context);
                }
                (None, None) => self.shared.expected.cannot(id),
                (Some(present), credentials) => {
                    self.pass_on(&id, plans);
                    if let Some(credentials) = credentials {
                        self.take_up(&present, &stored, credentials, context);
                    }
                }
            }
        }
    }

    /// Whether an account is served on another network than is stored now.
    pub(super) fn moves(&self, stored: &store::Account) -> bool {
        let served = self.served.get(&stored.id);
        served.is_some_and(|served| served.network != stored.network)
    }

    fn pass_on(&mut self, id: &AccountId, plans: Vec<AutomationPlan>) {
        if self.plans.get(id) == Some(&plans) {
            return;
        }
        self.plans.insert(id.clone(), plans.clone());
        let successor = self.successions.get(id).map(|succession| &succession.child);
        for connection in self.connections.get(id).into_iter().chain(successor) {
            connection.addr().do_send(Plans(plans.clone()));
        }
    }

    /// Serves an account with the credentials that are stored for it now.
    fn take_up(
        &mut self,
        present: &Arc<Account>,
        stored: &store::Account,
        credentials: Credentials,
        context: &mut Context<Self>,
    ) {
        if same(&present.credentials, &credentials) {
            self.served.insert(stored.id.clone(), Access::of(stored));
        } else if !self.successions.contains_key(&stored.id) && self.may_try(stored) {
            // Whatever forbids it is told there.
            let _ = self.begin_succession(stored, credentials, None, context);
        }
    }

    /// The network of a stored account, where it is configured.
    fn network_of(&self, stored: &store::Account) -> Result<Arc<NetworkShared>, String> {
        let known = || self.shared.networks.keys().map(String::as_str);
        let network = self.shared.networks.get(&stored.network).cloned();
        network.ok_or_else(|| {
            format!(
                "its network {} is not configured; known are {}",
                stored.network,
                known().collect::<Vec<_>>().join(", ")
            )
        })
    }

    fn add_account(
        &mut self,
        stored: &store::Account,
        credentials: Credentials,
        context: &mut Context<Self>,
    ) {
        let network = match self.network_of(stored) {
            Ok(network) => network,
            Err(problem) => {
                self.tell_once(format!("account {}: {problem}", stored.name));
                self.shared.expected.cannot(stored.id.clone());
                return;
            }
        };
        network.sockets.expect(&stored.id);
        let id = stored.id.clone();
        let rate = network.key_rates.of(&credentials);
        let account = Arc::new(Account {
            tag: AccountTag {
                id: id.clone(),
                name: stored.name.as_str().into(),
            },
            user: stored.user_id.clone(),
            rest: network.rest.spending(rate.clone()),
            network,
            credentials: Arc::new(credentials),
            rate,
            view: ArcSwap::default(),
            lineage: Arc::default(),
            connection: Slot::new("connection"),
            watches: Watches::default(),
        });
        self.enter(account);
        self.served.insert(id.clone(), Access::of(stored));
        self.feed(&stored.network, context);
        self.start_part(Part::Connection(id.clone()), context);
        // An intake that is being restarted finds the account served.
        self.shared.intake.tell(Served(id));
    }

    /// From now on this is the account of its id.
    pub(super) fn enter(&self, account: Arc<Account>) {
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            accounts.insert(account.tag.id.clone(), Arc::clone(&account));
            accounts
        });
    }

    /// Starts the price feed of a network, unless it has one.
    fn feed(&mut self, network: &str, context: &mut Context<Self>) {
        if !self.feeds.contains_key(network) {
            self.start_part(Part::Feed(network.to_owned()), context);
        }
    }

    fn end_account(&mut self, id: &AccountId) {
        let part = Part::Connection(id.clone());
        let name = self.name(&part);
        self.wards.remove(&name);
        self.clear_slot(&part);
        self.plans.remove(id);
        self.served.remove(id);
        self.failed.remove(id);
        if let Some(account) = self.shared.accounts.load().get(id) {
            let refused = RestartRefused::Disabled(account.tag.name.to_string());
            self.abandon(id, refused);
            account.network.sockets.forget(id);
        }
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            accounts.remove(id);
            accounts
        });
        let stopped = Event::ActorStopped { actor: name };
        self.shared.events.emit(stopped);
    }
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    let equal = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
    equal(&one.key, &other.key)
        && equal(&one.secret, &other.secret)
        && equal(&one.passphrase, &other.passphrase)
}
