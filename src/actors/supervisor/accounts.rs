//! Keeping in step with what is stored: which accounts are served, with which credentials, and what
//! each is watched for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use arc_swap::ArcSwap;
use secrecy::{ExposeSecret, SecretString};

use super::super::connection::Plans;
use super::super::intake::Served;
use super::super::shared::{Account, NetworkShared};
use super::super::shown::Watches;
use super::desired::{Access, Desired, Unusable, Wanted};
use super::restart::RestartRefused;
use super::{AutomationPlan, Part, Supervisor};
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;
use crate::store;
use crate::supervision::Slot;
use crate::telemetry::{AccountTag, Event};

impl Supervisor {
    pub(super) fn tell_once(&mut self, unusable: Unusable) {
        let Unusable { account, problem } = unusable;
        let of = account.as_ref();
        let (id, name) = (of.map(|of| of.id.as_str()), of.map(|of| of.name.as_ref()));
        let text = name.map_or_else(
            || problem.clone(),
            |name: &str| format!("account {name}: {problem}"),
        );
        if self.told.insert(text.clone()) {
            tracing::error!(
                event = "config.unusable",
                account_id = id,
                account_name = name,
                "{text}"
            );
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
        self.end_accounts(&gone);
        let mut added = vec![];
        for (id, wanted) in desired.accounts {
            if self.moves(&wanted.stored) {
                self.takes_leave(&id);
                if wanted.is_owed {
                    self.tell_leaving(&wanted.stored);
                    self.pass_on(&id, vec![]);
                    continue;
                }
                // Nothing of what it has here is there: no place is to be kept.
                self.end_accounts(std::slice::from_ref(&id));
            }
            let Wanted {
                stored,
                plans,
                credentials,
                owed_on,
                ..
            } = wanted;
            let credentials = match credentials.transpose() {
                Ok(credentials) => credentials,
                Err(error) => {
                    self.tell_once(Unusable::of(&stored, &error));
                    None
                }
            };
            let present = self.shared.accounts.load().get(&id).cloned();
            match (present, credentials) {
                (None, Some(credentials)) => match owed_on {
                    // What an earlier process left under way there is proven there, and nothing else
                    // is done; then it moves.
                    Some(network) => {
                        self.tell_leaving(&stored);
                        let there = store::Account { network, ..stored };
                        self.plans.insert(id, vec![]);
                        let account = self.new_account(&there, credentials);
                        if let Some(account) = &account {
                            account.leaves.store(true, Ordering::Relaxed);
                        }
                        added.extend(account);
                    }
                    None => {
                        self.plans.insert(id, plans);
                        added.extend(self.new_account(&stored, credentials));
                    }
                },
                (None, None) => self.shared.expected.cannot(id),
                (Some(present), credentials) => {
                    self.pass_on(&id, plans);
                    if let Some(credentials) = credentials {
                        self.take_up(&present, &stored, credentials, context);
                    }
                }
            }
        }
        self.add_accounts(added, context);
    }

    /// Nothing new is sent for an account on the network that it is served on.
    fn takes_leave(&self, id: &AccountId) {
        if let Some(account) = self.shared.accounts.load().get(id) {
            account.leaves.store(true, Ordering::Relaxed);
        }
    }

    fn tell_leaving(&mut self, stored: &store::Account) {
        let problem = "its network was changed; it is served there when its executions have ended";
        self.tell_once(Unusable::of(stored, problem));
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

    fn new_account(
        &mut self,
        stored: &store::Account,
        credentials: Credentials,
    ) -> Option<Arc<Account>> {
        let network = match self.network_of(stored) {
            Ok(network) => network,
            Err(problem) => {
                self.tell_once(Unusable::of(stored, problem));
                self.shared.expected.cannot(stored.id.clone());
                return None;
            }
        };
        let rate = network.key_rates.of(&credentials);
        self.served.insert(stored.id.clone(), Access::of(stored));
        Some(Arc::new(Account {
            tag: AccountTag {
                id: stored.id.clone(),
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
            leaves: Arc::default(),
        }))
    }

    fn add_accounts(&mut self, added: Vec<Arc<Account>>, context: &mut Context<Self>) {
        self.enter(&added);
        for account in added {
            let (id, network) = (account.tag.id.clone(), &account.network);
            network.sockets.expect(&id);
            self.feed(&network.network.name, context);
            self.start_part(Part::Connection(id.clone()), context);
            // An intake that is being restarted finds the account served.
            self.shared.intake.tell(Served(id));
        }
    }

    /// From now on these are the accounts of their ids. All in one step: each copies the whole table,
    /// and at a start there are as many as there are accounts.
    pub(super) fn enter(&self, entering: &[Arc<Account>]) {
        if entering.is_empty() {
            return;
        }
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            let entering = entering.iter().map(Arc::clone);
            accounts.extend(entering.map(|account| (account.tag.id.clone(), account)));
            accounts
        });
    }

    /// Starts the price feed of a network, unless it has one.
    fn feed(&mut self, network: &str, context: &mut Context<Self>) {
        if !self.feeds.contains_key(network) {
            self.start_part(Part::Feed(network.to_owned()), context);
        }
    }

    /// Ends accounts that are served no longer; out of the table in one step, as they came in.
    fn end_accounts(&mut self, gone: &[AccountId]) {
        if gone.is_empty() {
            return;
        }
        let mut stopped = vec![];
        for id in gone {
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
            stopped.push(name);
        }
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            for id in gone {
                accounts.remove(id);
            }
            accounts
        });
        for actor in stopped {
            self.shared.events.emit(Event::ActorStopped { actor });
        }
    }
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    let equal = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
    equal(&one.key, &other.key)
        && equal(&one.secret, &other.secret)
        && equal(&one.passphrase, &other.passphrase)
}
