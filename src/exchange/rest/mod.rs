//! REST v3: one method for each call, every request with a deadline, no redirects, answers bounded.
//!
//! Each call is one request unless its documentation says otherwise; whoever calls spends it from
//! the budget of the key. What a call needs beyond that it takes itself, from the budget that it
//! was given by [`Rest::spending`].

mod account;
mod call;
mod cross;
mod isolated;
mod lookup;
mod pages;
mod public;
mod stops;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::answer::transport;
use super::error::{Effect, ExchangeError};
use super::rate::RateBudget;
use super::{ExchangeClock, Network};

pub use cross::NewCrossOrder;
pub use isolated::NewTrade;
pub use lookup::FoundTrade;
pub use stops::StopLoss;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Deadline of a command, and of a reading.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Connections that are kept for the next request: as many as there may be executions at once by
/// default, so that their commands find one open. What more a burst of readings opened (all accounts at
/// the start, or while the exchange is slow) is closed as soon as it is not used: each holds a file and
/// some 35 KiB.
const KEPT_OPEN: usize = 64;

/// The REST side of one network. Cheap to clone; clones share connections and clock.
#[derive(Clone, Debug)]
pub struct Rest {
    http: reqwest::Client,
    network: Arc<Network>,
    clock: ExchangeClock,
    /// Of one key, where it is known.
    budget: Option<RateBudget>,
    sign_anew_within: chrono::Duration,
}

/// A proof that a request was not applied counts from its first signature, and leaves a margin of
/// 10 s. What is signed anew later than this could still be accepted when it counts as absent.
const SIGN_ANEW_WITHIN: chrono::Duration = chrono::Duration::seconds(5);

impl Rest {
    /// A client of one network.
    ///
    /// # Errors
    /// Where no TLS can be set up on this machine.
    pub fn new(network: Arc<Network>, clock: ExchangeClock) -> Result<Self, ExchangeError> {
        Self::from_address(None, network, clock)
    }

    /// A client that sends from this address of the machine.
    ///
    /// # Errors
    /// As [`Rest::new`].
    pub fn from_address(
        egress: Option<IpAddr>,
        network: Arc<Network>,
        clock: ExchangeClock,
    ) -> Result<Self, ExchangeError> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("vigia/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(KEPT_OPEN)
            .local_address(egress)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(ClientConfig::clone(network.tls()));
        if network.api_url().starts_with("http:") {
            // Unencrypted requests stay on this machine, whatever proxy the environment names.
            client = client.no_proxy();
        }
        let http = client
            .build()
            .map_err(|error| transport(&error, Effect::Reads))?;
        Ok(Self {
            http,
            network,
            clock,
            budget: None,
            sign_anew_within: SIGN_ANEW_WITHIN,
        })
    }

    /// The same client for proofs that leave this margin of safety: what could still be accepted
    /// after it is not signed anew.
    #[must_use]
    pub fn within_safety(self, margin: Duration) -> Self {
        let half = chrono::Duration::from_std(margin / 2).unwrap_or(SIGN_ANEW_WITHIN);
        Self {
            sign_anew_within: half.min(SIGN_ANEW_WITHIN),
            ..self
        }
    }

    /// The same client for the calls of one key: a request that its callers cannot foresee (a
    /// second signature, a second page) is spent from this budget, after a short wait if need be, or
    /// not made.
    pub fn spending(&self, budget: RateBudget) -> Self {
        Self {
            budget: Some(budget),
            ..self.clone()
        }
    }

    /// The exchange's clock.
    pub fn clock(&self) -> &ExchangeClock {
        &self.clock
    }
}
