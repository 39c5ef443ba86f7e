//! What an account's key may do at the exchange.

use std::time::Duration;

use super::Prepared;
use crate::exchange::{self, SocketPermit};
use crate::store::{Account, SocketAttempt};

/// A login that finds no place in the budgets by then is not made.
const PLACE_WITHIN: Duration = Duration::from_secs(3);
/// Whoever has no place yet asks again.
const BEAT: Duration = Duration::from_millis(50);

impl Prepared {
    /// Asks the exchange what an account's key may do. Costs a socket and a login of the budgets.
    ///
    /// # Errors
    /// Why nothing was learnt, in words.
    pub async fn rights(&self, account: &Account) -> Result<Vec<String>, String> {
        let network = self.networks.get(&account.network);
        let network =
            network.ok_or_else(|| format!("its network {} is not configured", account.network))?;
        let credentials = self.store.credentials(&account.id).await;
        let credentials = credentials.map_err(|error| error.to_string())?;
        let until = self.clock.mono() + PLACE_WITHIN;
        let permit = loop {
            match network.sockets.for_account(&account.id, None) {
                Ok(permit) => break permit,
                Err(_) if self.clock.mono() < until => tokio::time::sleep(BEAT).await,
                Err(_) => {
                    network.sockets.forget(&account.id);
                    return Err("no socket or login is left for it now".to_owned());
                }
            }
        };
        let asked = match self.noted(&permit).await {
            Ok(()) => {
                let clock = network.exchange_clock().clone();
                let windows = self.tuning.stream;
                exchange::rights(&network.network, &credentials, clock, windows, permit).await
            }
            Err(error) => {
                permit.unused();
                Err(error)
            }
        };
        network.sockets.forget(&account.id);
        asked
    }

    async fn noted(&self, permit: &SocketPermit) -> Result<(), String> {
        let attempt = permit.attempt();
        let attempt = SocketAttempt {
            host: attempt.host.as_ref().to_owned(),
            egress: attempt.egress,
            login: attempt.login,
            made_at: self.clock.utc(),
        };
        let kept = self.tuning.sockets.hour;
        let noted = self.journal.note_attempt(attempt, kept).await;
        noted.map_err(|error| error.to_string())
    }
}
