//! One socket in the budget: its attempt, its authentication, its place.

use std::net::IpAddr;
use std::sync::Arc;

use super::SocketBudget;
use super::address::Address;
use crate::domain::ids::AccountId;

/// An attempt to open a socket, as it is written down before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where to.
    pub host: Arc<str>,
    /// From which address; `None` where the system chooses.
    pub egress: Option<IpAddr>,
    /// Whether it authenticates.
    pub login: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    None,
    Ahead,
    UnderWay,
    Ended,
}

/// One socket; what it used is counted from when it is dropped at the latest.
#[derive(Debug)]
pub struct SocketPermit {
    budget: SocketBudget,
    index: usize,
    place: u64,
    egress: Option<IpAddr>,
    account: Option<AccountId>,
    connecting: bool,
    login: Login,
    gone: bool,
}

impl SocketPermit {
    pub(super) fn new(
        budget: SocketBudget,
        index: usize,
        place: u64,
        egress: Option<IpAddr>,
        account: Option<AccountId>,
    ) -> Self {
        let login = match account {
            Some(_) => Login::Ahead,
            None => Login::None,
        };
        Self {
            budget,
            index,
            place,
            egress,
            account,
            connecting: true,
            login,
            gone: false,
        }
    }

    /// What is to be written down before the attempt is made.
    pub fn attempt(&self) -> Attempt {
        Attempt {
            host: Arc::clone(&self.budget.host),
            egress: self.egress,
            login: self.login != Login::None,
        }
    }

    /// The address to connect from.
    pub fn egress(&self) -> Option<IpAddr> {
        self.egress
    }

    /// Gives everything back: the attempt is not made.
    pub fn unused(mut self) {
        self.not_logged_in();
        if std::mem::take(&mut self.connecting) {
            self.address(|address, _| address.not_connected());
        }
        self.gone = true;
    }

    /// The exchange has answered to the connection: counted by now.
    pub(in crate::exchange) fn connected(&mut self) {
        if std::mem::take(&mut self.connecting) {
            self.address(Address::connect_ended);
        }
    }

    /// The authentication leaves.
    pub(in crate::exchange) fn logs_in(&mut self) {
        if self.login == Login::Ahead {
            self.login = Login::UnderWay;
        }
    }

    /// The exchange has answered to it.
    pub(in crate::exchange) fn login_answered(&mut self) {
        if std::mem::replace(&mut self.login, Login::Ended) == Login::UnderWay {
            self.address(Address::login_ended);
        }
    }

    /// The exchange says that there are too many, though we count fewer: others share the address.
    pub(in crate::exchange) fn limited(&mut self) {
        let minute = self.budget.limits.minute;
        self.address(|address, now| address.refuse_until(now + minute));
    }

    /// The other side has ended it: it is not counted any more.
    pub(in crate::exchange) fn gone(&mut self) {
        self.gone = true;
    }

    fn not_logged_in(&mut self) {
        if self.login == Login::Ahead {
            self.login = Login::Ended;
            self.address(|address, _| address.not_logged_in());
        }
    }

    fn address(&self, act: impl FnOnce(&mut Address, std::time::Duration)) {
        let now = self.budget.clock.mono();
        act(&mut self.budget.state().addresses[self.index], now);
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.connected();
        self.not_logged_in();
        self.login_answered();
        let until = self.budget.clock.mono() + self.budget.limits.lingers;
        let until = (!self.gone).then_some(until);
        let place = self.place;
        self.address(|address, now| address.free(place, until, now));
        if let Some(account) = &self.account {
            self.budget.state().ranking.gave_back(account);
        }
    }
}
