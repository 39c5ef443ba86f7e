//! The hand behind the exchange: prices, faults, the ledger.

pub(super) mod http;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::config::AccountConfig;
use super::faults::{Fault, Injection};
use super::ledger::LedgerEntry;
use super::limits::Violations;
use super::money::Price;
use super::stream::{self, End, Topic};
use super::wire::{CrossOrderView, CrossPositionView, TradeView};
use super::world::{World, lock};
use crate::simulator::keys::MoreKey;

/// An account as the exchange sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AccountSnapshot {
    /// API key.
    pub key: String,
    /// The user's id.
    pub user_id: String,
    /// Free balance, satoshis.
    pub balance: i64,
    /// Fee tier, 0 to 3.
    pub fee_tier: u8,
    /// Scopes of the key.
    pub permissions: Vec<String>,
    /// Whether the key was revoked.
    pub revoked: bool,
    /// All trades: open and running ones in the order of creation, then ended ones, oldest first.
    pub trades: Vec<TradeView>,
    /// The cross position, also when it is flat.
    pub cross: CrossPositionView,
    /// All cross orders: open ones in the order of creation, then ended ones, oldest first.
    pub cross_orders: Vec<CrossOrderView>,
}

/// One open socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketInfo {
    /// Key with which it has authenticated.
    pub key: Option<String>,
    /// Topics that it is subscribed to.
    pub topics: Vec<String>,
}

/// What was asked of the REST interface so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// By method and path after `/v3`, for example `POST /futures/isolated/trade`.
    pub by_route: BTreeMap<String, u64>,
    /// Answers by status; requests that got no answer are not in it.
    pub by_status: BTreeMap<u16, u64>,
}

impl RequestCounts {
    /// Requests of one route.
    pub fn of(&self, route: &str) -> u64 {
        self.by_route.get(route).copied().unwrap_or(0)
    }

    /// How many were answered 429.
    pub fn too_many(&self) -> u64 {
        self.by_status.get(&429).copied().unwrap_or(0)
    }
}

/// A price that the exchange cannot have.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("price {0}: expected USD from 1 to 100000000")]
pub struct InvalidPrice(pub f64);

/// Too many faults are active at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many faults are active: clear some first")]
pub struct TooManyFaults;

/// A cheap handle on a running simulator. After the simulator has stopped it still reads.
#[derive(Clone, Debug)]
pub struct Control {
    world: Arc<World>,
}

impl Control {
    pub(super) fn new(world: Arc<World>) -> Self {
        Control { world }
    }

    /// Prints a price, rounded to the 0.5 tick, with everything that it triggers.
    ///
    /// # Errors
    /// When it is not from 1 to 100,000,000 USD.
    pub fn set_price(&self, usd: f64) -> Result<(), InvalidPrice> {
        let price = Price::from_f64(usd).ok_or(InvalidPrice(usd))?;
        self.world.print(price.to_tick());
        Ok(())
    }

    /// The last price, USD.
    pub fn price(&self) -> f64 {
        lock(&self.world.engine).last.to_f64()
    }

    /// Lets the tape run.
    pub fn start_tape(&self) {
        self.world.tape_running.send_replace(true);
    }

    /// Holds the tape before its next tick.
    pub fn pause_tape(&self) {
        self.world.tape_running.send_replace(false);
    }

    /// Waits until the tape has printed its last price; an endless one never does.
    pub async fn tape_finished(&self) {
        // The sender lives as long as this handle, so this cannot fail.
        let _ = self
            .world
            .tape_finished
            .subscribe()
            .wait_for(|finished| *finished)
            .await;
    }

    /// Prices printed so far, by tape or by hand.
    pub fn ticks(&self) -> u64 {
        *self.world.ticks.borrow()
    }

    /// Everything applied so far, oldest first.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        lock(&self.world.engine).ledger.entries().to_vec()
    }

    /// How many entries the ledger has.
    pub fn ledger_len(&self) -> usize {
        lock(&self.world.engine).ledger.entries().len()
    }

    /// An account, if it exists.
    pub fn account(&self, key: &str) -> Option<AccountSnapshot> {
        let engine = lock(&self.world.engine);
        let account = engine.accounts.get(key)?;
        let trades = account.live.iter().chain(&account.done);
        let orders = account.cross.open.iter().chain(&account.cross.done);
        Some(AccountSnapshot {
            key: key.to_owned(),
            user_id: account.user_id.to_string(),
            balance: account.balance,
            fee_tier: account.tier(),
            permissions: account.config.permissions.clone(),
            revoked: account.revoked,
            trades: trades
                .map(|trade| TradeView::new(trade, engine.last))
                .collect(),
            cross: CrossPositionView::new(&account.cross, engine.last),
            cross_orders: orders.map(CrossOrderView::new).collect(),
        })
    }

    /// Adds an account; one with the same key is replaced.
    pub fn add_account(&self, account: AccountConfig) {
        lock(&self.world.engine).add_account(account);
    }

    /// Gives an account, named by its first key, one more key; `false` when there is no such account.
    pub fn add_key(&self, account: &str, key: &str, secret: &str, passphrase: &str) -> bool {
        let mut engine = lock(&self.world.engine);
        if !engine.accounts.contains_key(account) {
            return false;
        }
        let more = MoreKey {
            account: account.to_owned(),
            secret: secret.to_owned(),
            passphrase: passphrase.to_owned(),
            revoked: false,
        };
        engine.more_keys.insert(key.to_owned(), more);
        drop(engine);
        let owners = &mut lock(&self.world.hub).owners;
        owners.insert(key.to_owned(), account.to_owned());
        true
    }

    /// Puts satoshis into the cross margin of an account, out of nowhere: neither balance nor
    /// ledger nor stream know of it. `false` when there is no such account.
    pub fn give_cross_margin(&self, key: &str, sats: i64) -> bool {
        match lock(&self.world.engine).accounts.get_mut(key) {
            Some(account) => {
                account.cross.position.book(sats);
                true
            }
            None => false,
        }
    }

    /// The cross position of an account, if the account exists.
    pub fn cross(&self, key: &str) -> Option<CrossPositionView> {
        let engine = lock(&self.world.engine);
        let account = engine.accounts.get(key)?;
        Some(CrossPositionView::new(&account.cross, engine.last))
    }

    /// Revokes a key for good; `false` when there is none.
    pub fn revoke_key(&self, key: &str) -> bool {
        lock(&self.world.engine).revoke(key)
    }

    /// Requests so far.
    pub fn requests(&self) -> RequestCounts {
        let counts = lock(&self.world.counts).clone();
        RequestCounts {
            by_route: counts.requests,
            by_status: counts.statuses,
        }
    }

    /// Authenticated requests of a key so far, whatever was answered.
    pub fn requests_of(&self, key: &str) -> u64 {
        let counts = lock(&self.world.counts);
        counts.by_key.get(key).copied().unwrap_or(0)
    }

    /// What exceeded the limits that the simulator was started with.
    pub fn violations(&self) -> Violations {
        lock(&self.world.limiter).violations()
    }

    /// The sockets that are open.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        let sockets = lock(&self.world.hub).list();
        sockets
            .into_iter()
            .map(|(key, topics)| SocketInfo { key, topics })
            .collect()
    }

    /// How many sockets are open.
    pub fn open_sockets(&self) -> usize {
        lock(&self.world.hub).count()
    }

    /// Makes something go wrong, from now on or at once.
    ///
    /// # Errors
    /// When too many faults are active already.
    pub fn inject(&self, injection: impl Into<Injection>) -> Result<(), TooManyFaults> {
        if self.world.inject(injection.into()) {
            Ok(())
        } else {
            Err(TooManyFaults)
        }
    }

    /// The faults that are active.
    pub fn faults(&self) -> Vec<Injection> {
        lock(&self.world.faults).list(self.world.clock.elapsed())
    }

    /// Ends all faults; a closed port is opened again.
    pub fn clear_faults(&self) {
        lock(&self.world.faults).clear();
        self.world.refused_until.send_replace(Duration::ZERO);
    }

    /// Drops the TCP connections of all sockets, or of one key's; answers how many.
    pub fn drop_sockets(&self, key: Option<&str>) -> usize {
        lock(&self.world.hub).end(key, usize::MAX, End::Drop)
    }

    /// Restarts the exchange: sockets are closed with 1012, sessions are lost, everything is
    /// answered 503 for so long. Trades and ledger survive; the market goes on.
    pub fn restart(&self, down_for: Duration) {
        self.world.restart(down_for);
    }

    /// Makes the trading engine unavailable for so long: 503 on REST, sockets stay.
    ///
    /// # Errors
    /// When too many faults are active already.
    pub fn engine_unavailable(&self, duration: Duration) -> Result<(), TooManyFaults> {
        self.inject(Fault::EngineUnavailable.lasting(duration))
    }

    /// Settles funding for all running trades at once, at `rate` (0.0001 is 0.01 %) and a fixing
    /// price in USD.
    ///
    /// # Errors
    /// When the fixing price is not from 1 to 100,000,000 USD.
    pub fn settle_funding(&self, rate: f64, fixing: f64) -> Result<(), InvalidPrice> {
        let fixing = Price::from_f64(fixing).ok_or(InvalidPrice(fixing))?;
        self.world.apply(|engine, now| {
            engine.funding_rate = rate;
            self.world.settle(engine, rate, fixing, now);
        });
        Ok(())
    }

    /// Sets the rate of the next settlements (0.0001 is 0.01 %) and tells who listens.
    pub fn set_funding_rate(&self, rate: f64) {
        self.world.apply(|engine, now| {
            engine.funding_rate = rate;
            stream::push_funding(&self.world, engine, now);
        });
    }

    /// Publishes an announcement.
    pub fn announce(&self, id: &str, title: &str, message: &str, link: Option<&str>) {
        let data = json!({ "id": id, "title": title, "message": message, "link": link });
        stream::announce(&self.world, &data);
    }

    /// Takes an announcement back.
    pub fn withdraw_announcement(&self, id: &str) {
        stream::announce(&self.world, &json!({ "id": id }));
    }

    /// Lets the owner of an account pay satoshis in, from outside: the balance grows and
    /// `wallet/deposit` tells of it. `false` when there is no such account.
    pub fn pay_in(&self, key: &str, sats: i64) -> bool {
        self.world.pay(key, sats, Topic::Deposit)
    }

    /// Lets the owner take satoshis out; `false` when there are not so many.
    pub fn pay_out(&self, key: &str, sats: i64) -> bool {
        self.world.pay(key, -sats, Topic::Withdrawal)
    }
}
