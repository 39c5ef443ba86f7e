//! An account's own positions, read from the exchange for a rule that is only looked at.

use std::time::Duration;

use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::position::Position;
use crate::domain::units::Price;
use crate::exchange::{Class, ExchangeError, Rest, UnreadableTrade};
use crate::store::{Account, Store};

/// An account that has not answered by then is said not to have.
const WITHIN: Duration = Duration::from_secs(10);

/// Requests for the price, and the pause between two: one public request a second is allowed.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(1100);

/// What the exchange shows.
#[derive(Debug)]
pub(super) struct Positions {
    /// The last price.
    pub price: Price,
    /// Running trades, and the cross position if there is one.
    pub positions: Vec<Position>,
    /// Trades that cannot be read, each with why.
    pub unreadable: Vec<String>,
}

/// What was read, or why nothing was.
pub(super) type Own = Result<Positions, String>;

/// Reads an account's positions, within [`WITHIN`].
pub(super) async fn read(settings: &Settings, store: &Store, account: &Account) -> Own {
    match tokio::time::timeout(WITHIN, read_all(settings, store, account)).await {
        Ok(read) => read,
        Err(_) => Err(format!("no answer within {} s", WITHIN.as_secs())),
    }
}

async fn read_all(settings: &Settings, store: &Store, account: &Account) -> Own {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let who = store.credentials(&account.id).await;
    let who = who.map_err(|error| told(&error))?;
    let rest = app::rest_client(settings, &account.network, Clock::start());
    let rest = rest.map_err(|error| format!("{error:#}"))?;
    let price = price(&rest).await.map_err(|error| told(&error))?;
    let running = rest.running(&who).await.map_err(|error| told(&error))?;
    let mut positions = running.positions;
    match rest.cross_position(&who).await {
        Ok(cross) => positions.extend(cross.position),
        // A key for isolated trades alone.
        Err(error) if error.class == Class::ScopeMissing => {}
        Err(error) => return Err(told(&error)),
    }
    let unreadable = running.unreadable.iter();
    Ok(Positions {
        price,
        positions,
        unreadable: unreadable.map(told_unreadable).collect(),
    })
}

/// The last price; asked for again where another process of this address has just asked.
async fn price(rest: &Rest) -> Result<Price, ExchangeError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match rest.ticker().await {
            Ok(ticker) => return Ok(ticker.last),
            Err(error) if error.is_retryable() && tries > 0 => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}

fn told_unreadable(trade: &UnreadableTrade) -> String {
    let id = trade
        .id
        .map_or_else(|| "a trade".to_owned(), |id| format!("trade {id}"));
    format!("{id} cannot be read: {}", trade.problem)
}
