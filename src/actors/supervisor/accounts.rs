//! Keeping in step with what is stored: which accounts are served, and what each is watched for.

use std::sync::Arc;

use actix::prelude::*;
use arc_swap::ArcSwap;

use super::super::connection::Plans;
use super::super::intake::Served;
use super::super::shared::Account;
use super::desired::{Desired, desired};
use super::{Part, Supervisor};
use crate::domain::ids::AccountId;
use crate::store::{self, StoreError};
use crate::supervision::Slot;
use crate::telemetry::AccountTag;

impl Supervisor {
    pub(super) fn refresh(&mut self, context: &mut Context<Self>) {
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
            // A store that refuses has been asked all the same.
            supervisor.progress.mark();
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
        self.shared.expected.set(desired.accounts.keys().cloned());
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
            self.shared.expected.cannot(stored.id);
            return;
        };
        network.sockets.expect(&stored.id);
        let shared = Arc::clone(&self.shared);
        let id = stored.id.clone();
        let unsealing = async move { shared.store.credentials(&id).await };
        let unsealed = move |credentials, supervisor: &mut Self, context: &mut Context<Self>| {
            let credentials = match credentials {
                Ok(credentials) => Arc::new(credentials),
                Err(error) => {
                    let error: StoreError = error;
                    supervisor.tell_once(format!("account {}: {error}", stored.name));
                    supervisor.shared.expected.cannot(stored.id.clone());
                    return;
                }
            };
            let id = stored.id.clone();
            if supervisor.stopping || supervisor.shared.accounts.load().contains_key(&id) {
                return;
            }
            let rate = network.key_rates.of(&credentials);
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
        if let Some(account) = self.shared.accounts.load().get(id) {
            account.network.sockets.forget(id);
        }
        self.shared.accounts.rcu(|accounts| {
            let mut accounts = (**accounts).clone();
            accounts.remove(id);
            accounts
        });
        tracing::info!(event = "actor.stopped", actor = name);
    }
}
