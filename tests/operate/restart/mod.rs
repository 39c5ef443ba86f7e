//! Restarting one account without a gap, as an operator asks for it, or as other credentials are
//! stored for it.

mod credentials;
mod in_flight;
mod meanwhile;
mod neighbours;
mod refused;
mod storm;
mod swing;

use vigia::actors::{RestartAccount, RestartRefused, Restarted};

use crate::harness::{Stage, Trader};

impl Stage {
    /// Restarts an account, and waits for the answer.
    pub async fn restart(&self, trader: &Trader) -> Result<Restarted, RestartRefused> {
        let supervisor = &self.app().shared.supervisor;
        let asked = supervisor.ask(RestartAccount(trader.id.clone())).await;
        asked.expect("the supervisor answers")
    }
}
