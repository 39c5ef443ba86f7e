//! What the exchange asks for is obeyed, whoever was told of it, and said in the log: for as long as
//! it lasts nobody is guarded.

use std::time::Duration;

use super::shared::{Account, NetworkShared, Shared};
use crate::exchange::{Class, ExchangeError, RateBudget};
use crate::telemetry::{AccountTag, Event};

/// After a 429 that names no time nothing is sent for so long.
const UNASKED: Duration = Duration::from_secs(1);

/// Silence for an account's key, where an answer asks for it.
pub(super) fn obey(shared: &Shared, account: &Account, error: &ExchangeError) {
    let network = &account.network.network.name;
    be_silent(shared, &account.rate, Some(&account.tag), network, error);
}

/// Silence for what needs no key.
pub(super) fn obey_publicly(shared: &Shared, network: &NetworkShared, error: &ExchangeError) {
    let name = &network.network.name;
    be_silent(shared, &network.public_rate, None, name, error);
}

fn be_silent(
    shared: &Shared,
    budget: &RateBudget,
    account: Option<&AccountTag>,
    network: &str,
    error: &ExchangeError,
) {
    let pause = match error.class {
        Class::Retryable { after: Some(after) } => after,
        Class::Retryable { after: None } if error.status == Some(429) => UNASKED,
        _ => return,
    };
    if budget.silence(shared.clock.mono() + pause) {
        shared.events.emit(Event::RateSilenced {
            account: account.cloned(),
            network: network.to_owned(),
            for_ms: pause.as_millis() as u64,
            error: error.to_string(),
        });
    }
}
