//! How many sockets an address may hold and open, and who gets one: the exchange closes what is
//! beyond, and locks out who insists.
//!
//! Reading order: `address` counts what one address uses, `ranking` says whose turn it is,
//! [`SocketPermit`] is one socket from its attempt to its end.

mod address;
mod permit;
mod ranking;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::ids::AccountId;
use crate::domain::nearness::Nearness;
use address::Address;
use ranking::Ranking;

pub use permit::{Attempt, SocketPermit};

/// The exchange's limits for one address, and how places are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// Sockets open at once.
    pub open: usize,
    /// New sockets per hour.
    pub new_per_hour: usize,
    /// Authentications per minute.
    pub logins_per_minute: usize,
    /// The hour of new sockets.
    pub hour: Duration,
    /// The minute of authentications.
    pub minute: Duration,
    /// An account keeps its socket for so long at least, unless another is threefold as near to
    /// liquidation.
    pub kept: Duration,
    /// The exchange may go on counting a socket that was lost in silence for so long.
    pub lingers: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            open: 32,
            new_per_hour: 500,
            logins_per_minute: 20,
            hour: Duration::from_secs(3600),
            minute: Duration::from_secs(60),
            kept: Duration::from_secs(600),
            lingers: Duration::from_secs(120),
        }
    }
}

/// What one address uses of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRoom {
    /// The address; `None` where the system chooses.
    pub egress: Option<IpAddr>,
    /// Sockets that are open, or may still be counted.
    pub open: usize,
    /// New sockets that are left in this hour.
    pub new_left: usize,
    /// Authentications that are left in this minute.
    pub logins_left: usize,
}

/// Who is not given a place asks again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// The sockets of the addresses of this machine. Clones share it.
#[derive(Clone, Debug)]
pub struct SocketBudget {
    host: Arc<str>,
    limits: SocketLimits,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    addresses: Vec<Address>,
    ranking: Ranking,
    next_place: u64,
}

impl SocketBudget {
    /// A budget of which nothing is used, for sockets to `host`. Without addresses the system
    /// chooses one, which is taken to be always the same.
    pub fn new(host: &str, limits: SocketLimits, egress: &[IpAddr], clock: Clock) -> Self {
        let mut addresses: Vec<_> = egress
            .iter()
            .map(|ip| Address::new(Some(*ip), &limits))
            .collect();
        if addresses.is_empty() {
            addresses.push(Address::new(None, &limits));
        }
        let state = State {
            addresses,
            ranking: Ranking::default(),
            next_place: 0,
        };
        Self {
            host: host.into(),
            limits,
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Where its sockets go.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What each address uses of its limits now.
    pub fn rooms(&self) -> Vec<SocketRoom> {
        let now = self.clock.mono();
        let mut state = self.state();
        let rooms = state.addresses.iter_mut();
        rooms
            .map(|address| address.room(&self.limits, now))
            .collect()
    }

    /// Counts an attempt that an earlier process made so long ago, or may have made.
    pub fn remember(&self, attempt: &Attempt, ago: Duration) {
        let now = self.clock.mono();
        let mut state = self.state();
        let known = |address: &&mut Address| address.egress() == attempt.egress;
        if let Some(address) = state.addresses.iter_mut().find(known) {
            address.remember(attempt.login, ago, &self.limits, now);
        }
    }

    /// This account will be served: until it is known how near to liquidation it is, or for a few
    /// seconds, nobody takes a place that may be its.
    pub fn expect(&self, account: &AccountId) {
        let now = self.clock.mono();
        self.state().ranking.expect(account, now);
    }

    /// This account is served no longer.
    pub fn forget(&self, account: &AccountId) {
        self.state().ranking.forget(account);
    }

    /// Takes a place for the socket of a price feed. It serves everybody, so places, and a share of
    /// an hour's new sockets, are kept for it.
    ///
    /// # Errors
    /// When to ask again.
    pub fn for_prices(&self) -> Result<SocketPermit, Duration> {
        let now = self.clock.mono();
        let mut state = self.state();
        let limits = &self.limits;
        let open = |address: &Address| address.has_place(None, limits, now);
        let soonest = |address: &mut Address| {
            if open(address) {
                address.soonest_for_prices(limits, now)
            } else {
                now + AGAIN
            }
        };
        let soonest = state.addresses.iter_mut().map(soonest).enumerate();
        let best = soonest.min_by_key(|(_, at)| *at);
        match best {
            Some((index, at)) if at <= now => Ok(self.take(&mut state, index, None)),
            Some((_, at)) => Err(at),
            None => Err(now + AGAIN),
        }
    }

    /// Takes a place for the socket of an account, with its authentication, if it is this account's
    /// turn: the nearer to liquidation the sooner. `nearness` is `None` while nobody knows it.
    ///
    /// # Errors
    /// When to ask again.
    pub fn for_account(
        &self,
        account: &AccountId,
        nearness: Option<Nearness>,
    ) -> Result<SocketPermit, Duration> {
        let now = self.clock.mono();
        let mut guard = self.state();
        let state = &mut *guard;
        state.ranking.wishes(account, nearness, now);
        // Its earlier socket may still be counted, and is replaced by this one.
        let mut addresses = state.addresses.iter();
        let replaces = addresses.any(|address| address.counts(account, now));
        let turn = state
            .ranking
            .is_turn_of(account, &mut state.addresses, &self.limits, now);
        if !turn && !replaces {
            return Err(now + AGAIN);
        }
        let limits = &self.limits;
        let most = |(index, address): (usize, &mut Address)| {
            let takes =
                address.has_place(Some(account), limits, now) && address.may_log_in(limits, now);
            takes.then(|| (address.free_places(limits, now), index))
        };
        let roomiest = state
            .addresses
            .iter_mut()
            .enumerate()
            .filter_map(most)
            .max();
        let Some((_, index)) = roomiest else {
            return Err(now + AGAIN);
        };
        state.ranking.given(account, now);
        Ok(self.take(state, index, Some(account.clone())))
    }

    /// Whether an account keeps its socket; where not, it closes it, for one that needs it more.
    pub fn keeps(&self, account: &AccountId, nearness: Nearness) -> bool {
        let now = self.clock.mono();
        let mut guard = self.state();
        let state = &mut *guard;
        state
            .ranking
            .keeps(account, nearness, &mut state.addresses, &self.limits, now)
    }

    fn take(&self, state: &mut State, index: usize, account: Option<AccountId>) -> SocketPermit {
        state.next_place += 1;
        let place = state.next_place;
        let address = &mut state.addresses[index];
        address.take(place, account.clone());
        SocketPermit::new(self.clone(), index, place, address.egress(), account)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
