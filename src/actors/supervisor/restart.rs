//! Restarting one account without a gap, as the operator asks for it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;
use tokio::sync::oneshot;

use super::super::shared::Shared;
use super::Supervisor;
use crate::domain::connection::Transport;
use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;
use crate::store::{self, StoreError};
use crate::telemetry::Event;

/// Restarts one account make-before-break: a second connection starts beside the first, with the
/// credentials that are stored now, and takes over when it is live; only then the first one ends.
/// Answered when it has ended, `supervision.restart_ms` later at most.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Restarted, RestartRefused>")]
pub struct RestartAccount(pub AccountId);

/// An account was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Restarted {
    /// From when the new connection was live, and began to arm its automations, until all of them
    /// were armed. The old one served the account alone at its beginning, both could at its end.
    pub arming: Duration,
    /// From then until the new one had taken the place and the old one had ended.
    pub handover: Duration,
    /// From the request until then.
    pub took: Duration,
    /// How the new connection is served.
    pub transport: Transport,
}

/// An account was not restarted: it goes on as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartRefused {
    /// No account has this id.
    #[error("there is no account {0}")]
    Unknown(AccountId),
    /// It is disabled.
    #[error("account {0} is disabled: enable it, which starts it")]
    Disabled(String),
    /// It cannot be served at all.
    #[error("the account is not served: {0}")]
    NotServed(String),
    /// It is being restarted now.
    #[error("the account is being restarted already")]
    Restarting,
    /// The new connection cannot do what the old one does.
    #[error("the old connection stays, as the new one does not get live: {0}")]
    NotLive(String),
    /// The store cannot be read.
    #[error("the store does not answer: {0}")]
    Store(String),
    /// The service stops.
    #[error("the service is stopping")]
    Stopping,
}

pub(super) type Answer = Result<Restarted, RestartRefused>;

/// What an account is to be restarted with.
type Stored = (store::Account, Credentials);

async fn stored(shared: &Shared, id: AccountId) -> Result<Stored, RestartRefused> {
    let found = match shared.store.account(id.as_str()).await {
        Ok(found) if found.id == id => found,
        Ok(_) | Err(StoreError::NotFound { .. }) => return Err(RestartRefused::Unknown(id)),
        Err(error) => return Err(RestartRefused::Store(error.to_string())),
    };
    if !found.is_active {
        return Err(RestartRefused::Disabled(found.name));
    }
    match shared.store.credentials(&id).await {
        Ok(credentials) => Ok((found, credentials)),
        Err(error @ (StoreError::Unavailable { .. } | StoreError::Busy { .. })) => {
            Err(RestartRefused::Store(error.to_string()))
        }
        Err(error) => Err(RestartRefused::NotServed(error.to_string())),
    }
}

impl Handler<RestartAccount> for Supervisor {
    type Result = ResponseActFuture<Self, Answer>;

    fn handle(
        &mut self,
        RestartAccount(id): RestartAccount,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let shared = Arc::clone(&self.shared);
        let of = id.clone();
        let reading = async move { stored(&shared, of).await };
        let begun = move |found: Result<Stored, RestartRefused>,
                          supervisor: &mut Self,
                          context: &mut Context<Self>| {
            let (asker, answer) = oneshot::channel();
            let begun = found.and_then(|(stored, credentials)| {
                supervisor.begin_succession(&stored, credentials, Some(asker), context)
            });
            if let Err(refused) = &begun {
                supervisor.tell_refused(&id, refused);
            }
            begun.map(|()| answer)
        };
        let answered = |begun: Result<oneshot::Receiver<Answer>, RestartRefused>,
                        _: &mut Self,
                        _: &mut Context<Self>| {
            actix::fut::wrap_future::<_, Self>(async move {
                let answer = begun?.await;
                answer.unwrap_or(Err(RestartRefused::Stopping))
            })
        };
        let reading = actix::fut::wrap_future::<_, Self>(reading);
        Box::pin(reading.map(begun).then(answered))
    }
}

impl Supervisor {
    /// Tells the operator why an account goes on as it was.
    pub(super) fn tell_refused(&self, id: &AccountId, refused: &RestartRefused) {
        if let Some(account) = self.shared.accounts.load().get(id) {
            self.shared.events.emit(Event::AccountRestartRefused {
                account: account.tag.clone(),
                reason: refused.to_string(),
            });
        }
    }
}
