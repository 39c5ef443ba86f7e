//! Whether the exchange accepts an account's new credentials, asked before they replace the old
//! ones.

use std::time::Duration;

use crate::domain::credentials::Credentials;
use crate::exchange::{Allowance, Class, ExchangeError, RateBudget, Rest, Spend};

/// A request that has no place in its key's budget by then is not made.
const PLACE_WITHIN: Duration = Duration::from_secs(5);

/// A key, and its budget where others spend from it too.
pub struct Key<'a> {
    /// Key, secret and passphrase.
    pub credentials: &'a Credentials,
    /// Requests of the key.
    pub budget: Option<RateBudget>,
}

/// Why new credentials were not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotVerified {
    /// The exchange does not accept them.
    #[error("the exchange refuses the new credentials ({0}): the old ones stay")]
    Refused(String),
    /// They open another account of the exchange.
    #[error(
        "the new credentials are of another account of the exchange ({new}) than the old ones \
         ({old}), which stay: add it as an account of its own"
    )]
    Another {
        /// The exchange's id of the account that is stored.
        old: String,
        /// The exchange's id of the other one.
        new: String,
    },
    /// The exchange could not be asked.
    #[error(
        "the exchange could not be asked whether it accepts the new credentials ({0}): the old \
         ones stay; try again, or store them unverified"
    )]
    Unreachable(String),
}

/// Has the exchange accept `new`: it must show its account and its positions. Answers whether that
/// is known to be the account of the `old` ones, if those are still accepted. At most three
/// requests.
///
/// # Errors
/// [`NotVerified`].
pub async fn verify(
    rest: &Rest,
    old: Option<Key<'_>>,
    new: Key<'_>,
) -> Result<Option<bool>, NotVerified> {
    let holder = whose(rest, &new).await.map_err(not_verified)?;
    let place = place(rest, &new).await.map_err(not_verified)?;
    rest.running(new.credentials).await.map_err(not_verified)?;
    drop(place);
    let Some(old) = old else {
        return Ok(None);
    };
    // The usual reason for new ones is that the old ones are accepted no longer.
    let was = whose(rest, &old).await.ok().flatten();
    match (was, holder) {
        (Some(was), Some(is)) if was != is => Err(NotVerified::Another { old: was, new: is }),
        (Some(_), Some(_)) => Ok(Some(true)),
        _ => Ok(None),
    }
}

async fn whose(rest: &Rest, key: &Key<'_>) -> Result<Option<String>, ExchangeError> {
    let _place = place(rest, key).await?;
    rest.holder(key.credentials).await
}

/// Waits for a place in the key's budget.
async fn place(rest: &Rest, key: &Key<'_>) -> Result<Option<Allowance>, ExchangeError> {
    let Some(budget) = &key.budget else {
        return Ok(None);
    };
    let clock = rest.clock().local();
    let until = clock.mono() + PLACE_WITHIN;
    loop {
        let now = clock.mono();
        match budget.spend(Spend::Read, now) {
            Ok(allowance) => return Ok(Some(allowance)),
            Err(free_at) if free_at > until => {
                return Err(ExchangeError {
                    class: Class::Retryable { after: None },
                    status: None,
                    code: None,
                    message: "the key has no request left for it now".to_owned(),
                });
            }
            Err(free_at) => tokio::time::sleep(free_at.saturating_sub(now)).await,
        }
    }
}

fn not_verified(error: ExchangeError) -> NotVerified {
    match error.class {
        Class::Unauthorized | Class::Blocked | Class::ScopeMissing | Class::Rejected => {
            NotVerified::Refused(error.to_string())
        }
        Class::Retryable { .. } | Class::Unknown => NotVerified::Unreachable(error.to_string()),
    }
}
