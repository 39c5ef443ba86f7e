//! What one address of this machine uses of the exchange's limits.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::{SocketLimits, SocketRoom};
use crate::domain::ids::AccountId;
use crate::exchange::window::Window;

/// Places that accounts leave to the price feed.
const KEPT_FOR_PRICES: usize = 1;
/// Places in which a socket is opened that replaces one of the same account, before that one is
/// gone.
const KEPT_FOR_REPLACING: usize = 1;
/// Of the new sockets of an hour, the share (one in so many) that accounts leave to price feeds.
const NEW_KEPT_FOR_PRICES: usize = 10;

#[derive(Debug)]
pub(super) struct Address {
    egress: Option<IpAddr>,
    places: Vec<Place>,
    connects: Window,
    logins: Window,
    /// The exchange said that there are too many: nothing is opened before.
    refused_until: Duration,
}

#[derive(Debug)]
struct Place {
    number: u64,
    account: Option<AccountId>,
    /// Its socket is lost, and the exchange may count it until then.
    until: Option<Duration>,
}

impl Place {
    fn counts(&self, now: Duration) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Address {
    pub(super) fn new(egress: Option<IpAddr>, limits: &SocketLimits) -> Self {
        Self {
            egress,
            places: vec![],
            connects: Window::new(limits.hour),
            logins: Window::new(limits.minute),
            refused_until: Duration::ZERO,
        }
    }

    pub(super) fn egress(&self) -> Option<IpAddr> {
        self.egress
    }

    pub(super) fn remember(
        &mut self,
        login: bool,
        ago: Duration,
        limits: &SocketLimits,
        now: Duration,
    ) {
        if ago < limits.hour {
            self.connects.count(now + limits.hour - ago);
        }
        if login && ago < limits.minute {
            self.logins.count(now + limits.minute - ago);
        }
    }

    fn taken(&self, now: Duration) -> usize {
        let counted = self.places.iter().filter(|place| place.counts(now));
        counted.count()
    }

    /// Whether a socket of the account is counted, or may be.
    pub(super) fn counts(&self, account: &AccountId, now: Duration) -> bool {
        let ours = |place: &Place| place.account.as_ref() == Some(account) && place.counts(now);
        self.places.iter().any(ours)
    }

    /// Places free for accounts that replace none.
    pub(super) fn free_places(&self, limits: &SocketLimits, now: Duration) -> usize {
        let kept = self.kept_for_prices() + self.kept_for_replacing(now);
        limits.open.saturating_sub(kept + self.taken(now))
    }

    /// Nothing is kept for a price feed that has its place.
    fn kept_for_prices(&self) -> usize {
        let held = |place: &Place| place.account.is_none() && place.until.is_none();
        match self.places.iter().any(held) {
            true => 0,
            false => KEPT_FOR_PRICES,
        }
    }

    /// Nothing is kept while an account has two.
    fn kept_for_replacing(&self, now: Duration) -> usize {
        let mut seen = HashSet::new();
        let counted = self.places.iter().filter(|place| place.counts(now));
        let mut accounts = counted.filter_map(|place| place.account.as_ref());
        match accounts.any(|account| !seen.insert(account)) {
            true => 0,
            false => KEPT_FOR_REPLACING,
        }
    }

    /// Whether there is a place for an account's socket, or for a price feed's.
    pub(super) fn has_place(
        &self,
        account: Option<&AccountId>,
        limits: &SocketLimits,
        now: Duration,
    ) -> bool {
        let kept = match account {
            None => 0,
            Some(account) if self.counts(account, now) => self.kept_for_prices(),
            Some(_) => self.kept_for_prices() + self.kept_for_replacing(now),
        };
        now >= self.refused_until && self.taken(now) + kept < limits.open
    }

    /// How many accounts may connect and log in now, as far as that is counted by time.
    pub(super) fn attempts(&mut self, limits: &SocketLimits, now: Duration) -> usize {
        if now < self.refused_until {
            return 0;
        }
        let new = limits.new_per_hour - limits.new_per_hour / NEW_KEPT_FOR_PRICES;
        let connects = self.connects.left(new, now);
        connects.min(self.logins.left(limits.logins_per_minute, now))
    }

    pub(super) fn may_log_in(&mut self, limits: &SocketLimits, now: Duration) -> bool {
        self.attempts(limits, now) > 0
    }

    /// What is used and what is left, for whoever looks.
    pub(super) fn room(&mut self, limits: &SocketLimits, now: Duration) -> SocketRoom {
        SocketRoom {
            egress: self.egress,
            open: self.taken(now),
            new_left: self.connects.left(limits.new_per_hour, now),
            logins_left: self.logins.left(limits.logins_per_minute, now),
        }
    }

    pub(super) fn soonest_for_prices(&mut self, limits: &SocketLimits, now: Duration) -> Duration {
        let soonest = self.connects.soonest(1, limits.new_per_hour, now);
        soonest.max(self.refused_until)
    }

    pub(super) fn take(&mut self, number: u64, account: Option<AccountId>) {
        self.connects.begin(1);
        if account.is_some() {
            self.logins.begin(1);
        }
        self.places.push(Place {
            number,
            account,
            until: None,
        });
    }

    pub(super) fn connect_ended(&mut self, now: Duration) {
        self.connects.end(1, now);
    }

    pub(super) fn login_ended(&mut self, now: Duration) {
        self.logins.end(1, now);
    }

    pub(super) fn not_connected(&mut self) {
        self.connects.take_back(1);
    }

    pub(super) fn not_logged_in(&mut self) {
        self.logins.take_back(1);
    }

    pub(super) fn refuse_until(&mut self, until: Duration) {
        self.refused_until = self.refused_until.max(until);
    }

    /// Its socket is gone at the exchange too; or lost, and may be counted until then.
    pub(super) fn free(&mut self, number: u64, until: Option<Duration>, now: Duration) {
        if let Some(place) = self.places.iter_mut().find(|place| place.number == number) {
            place.until = Some(until.unwrap_or(now));
        }
        self.places.retain(|place| place.counts(now));
    }
}
