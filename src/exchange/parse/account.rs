//! Balance and ticker.

use super::{Unreadable, price, sats};
use crate::domain::units::{Price, Sats};
use crate::exchange::wire;

/// A price as the ticker gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticker {
    /// The last price.
    pub last: Price,
}

/// What `GET /account` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountReading {
    /// Satoshis free for new margin.
    pub balance: Sats,
}

pub(in crate::exchange) fn ticker(ticker: &wire::Ticker) -> Result<Ticker, Unreadable> {
    Ok(Ticker {
        last: price("lastPrice", ticker.last_price)?,
    })
}

pub(in crate::exchange) fn account(account: &wire::Account) -> Result<AccountReading, Unreadable> {
    Ok(AccountReading {
        balance: sats("balance", account.balance)?,
    })
}
