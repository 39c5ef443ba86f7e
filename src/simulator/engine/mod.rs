//! The exchange itself: one state machine, advanced by prices and by orders.
//!
//! No IO and no clock: every call is given the time. What others must hear is left in an outbox,
//! in the order in which it happened.

mod cross;
mod funding;
mod margin;
mod market;
mod orders;
mod stops;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::account::Account;
use super::choices::Choices;
use super::config::AccountConfig;
use super::cross::{Order, Position};
use super::ledger::{Ledger, LedgerEntry, LedgerKind, LedgerSource};
use super::money::{Nano, Price, Side};
use super::trade::Trade;
use crate::simulator::keys::MoreKey;

pub(super) use cross::NewOrder;
pub(super) use orders::{NewTrade, Size, Stop};

/// Why a command was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Against a rule: what, and the field of the request that is to blame.
    Rule(String, Option<&'static str>),
    /// The trade or order is there, but not in a state that allows the command.
    WrongState(String, u16),
    /// No such trade or order of this account.
    UnknownTrade,
}

pub(super) fn rule<T>(field: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Rule(message.into(), Some(field)))
}

/// When, and by which request, something is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    /// Server time, milliseconds.
    pub(super) now: i64,
    /// The signed timestamp of the request; `None` for the exchange's own doing.
    pub(super) request_timestamp: Option<i64>,
}

impl Cause {
    pub(super) fn engine(now: i64) -> Self {
        Cause {
            now,
            request_timestamp: None,
        }
    }
}

/// The eight events of the private trade topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    Open,
    Filled,
    Closed,
    Canceled,
    Liquidation,
    Stoploss,
    Takeprofit,
    /// The fee of this settlement and its time.
    Funding {
        fee: i64,
        at: i64,
    },
}

/// The three events of the private order topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderEvent {
    New,
    Limit,
    Canceled,
}

/// The eight events of the private position topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PositionEvent {
    New,
    Limit,
    Cancel,
    Leverage,
    Deposit,
    Withdraw,
    Liquidation,
    Funding,
}

/// What happened to an account.
#[derive(Clone, Debug)]
pub(super) enum News {
    Trade(EventKind, Box<Trade>),
    Order(OrderEvent, Box<Order>),
    Position {
        event: PositionEvent,
        position: Box<Position>,
        /// What open orders bind.
        in_orders: i64,
        last: Price,
    },
}

/// Something the owner of `key` must hear.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) key: String,
    pub(super) news: News,
}

/// One funding settlement of the market.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub(super) id: Uuid,
    pub(super) time: i64,
    pub(super) rate: f64,
    pub(super) fixing: Price,
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) more_keys: BTreeMap<String, MoreKey>,
    pub(super) ledger: Ledger,
    pub(super) settlements: Vec<Settlement>,
    pub(super) last: Price,
    pub(super) funding_rate: f64,
    pub(super) choices: Choices,
    half_spread: Price,
    schedule: funding::Schedule,
    outbox: Vec<Event>,
    rng: SmallRng,
}

impl Engine {
    pub(super) fn new(seed: u64, last: Price, half_spread: Price) -> Self {
        Engine {
            accounts: BTreeMap::new(),
            more_keys: BTreeMap::new(),
            ledger: Ledger::default(),
            settlements: Vec::new(),
            last,
            funding_rate: 0.0001,
            choices: Choices::default(),
            half_spread,
            schedule: funding::Schedule::default(),
            outbox: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Adds an account; one with the same key is replaced, with all it had.
    pub(super) fn add_account(&mut self, config: AccountConfig) {
        let (user_id, cross_id) = (self.next_id(), self.next_id());
        self.accounts
            .insert(config.key.clone(), Account::new(config, user_id, cross_id));
    }

    fn wrong_state<T>(&self, message: &str) -> Result<T, Refusal> {
        let status = self.choices.wrong_state_status;
        Err(Refusal::WrongState(message.to_owned(), status))
    }

    /// Refuses a `clientId` that is in use, where that is chosen.
    fn check_client_id(&self, key: &str, id: Option<&str>) -> Result<(), Refusal> {
        let (true, Some(id), Some(account)) =
            (self.choices.unique_client_ids, id, self.accounts.get(key))
        else {
            return Ok(());
        };
        let trades = account.live.iter().map(|trade| &trade.client_id);
        let orders = account.cross.open.iter().map(|order| &order.client_id);
        if trades.chain(orders).any(|used| used.as_deref() == Some(id)) {
            return rule("clientId", "the clientId is in use");
        }
        Ok(())
    }

    /// What a buyer pays.
    pub(super) fn ask(&self) -> Price {
        self.last.plus(self.half_spread)
    }

    /// What a seller gets.
    pub(super) fn bid(&self) -> Price {
        self.last.minus(self.half_spread).max(Price::MIN)
    }

    /// The price at which this side's market order is executed.
    fn quote(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.ask(),
            Side::Sell => self.bid(),
        }
    }

    /// The price at which this side's trade is closed: the opposite order.
    fn exit_quote(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.bid(),
            Side::Sell => self.ask(),
        }
    }

    /// What happened since the last call, oldest first.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.outbox)
    }

    pub(super) fn next_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.r#gen()).into_uuid()
    }

    /// An account whose signature was checked a moment ago.
    fn account(&mut self, key: &str) -> Result<&mut Account, Refusal> {
        self.accounts.get_mut(key).ok_or(Refusal::UnknownTrade)
    }

    fn emit(&mut self, key: &str, kind: EventKind, trade: &Trade) {
        self.outbox.push(Event {
            key: key.to_owned(),
            news: News::Trade(kind, Box::new(trade.clone())),
        });
    }

    fn record(
        &mut self,
        key: &str,
        cause: Cause,
        kind: LedgerKind,
        trade: &Trade,
        amount: Option<i64>,
        price: Option<Price>,
    ) {
        let mut entry = self.entry(key, cause, kind, trade.id);
        entry.amount = amount;
        entry.price = price.map(Price::to_f64);
        entry.client_id.clone_from(&trade.client_id);
        self.ledger.push(entry);
    }

    /// An entry of the ledger that has no figures yet.
    fn entry(&self, key: &str, cause: Cause, kind: LedgerKind, id: Uuid) -> LedgerEntry {
        LedgerEntry {
            seq: 0,
            time: cause.now,
            key: key.to_owned(),
            trade_id: id,
            kind,
            amount: None,
            quantity: None,
            price: None,
            balance_after: self.accounts.get(key).map_or(0, |account| account.balance),
            client_id: None,
            request_timestamp: cause.request_timestamp,
            source: match cause.request_timestamp {
                Some(_) => LedgerSource::Api,
                None => LedgerSource::Engine,
            },
        }
    }

    /// The rate as the maths wants it.
    fn nano(rate: f64) -> Nano {
        Nano::from_f64(rate)
    }
}
