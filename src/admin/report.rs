//! The state of everything, as one value.

use serde::{Deserialize, Serialize};

use crate::actors::{Account, Shared};
use crate::domain::execution::State;
use crate::domain::kill_switch::KillSwitch;
use crate::domain::maths;
use crate::domain::position::Side;
use crate::domain::units::{Price, Sats, Usd};
use crate::journal::JournalError;

/// A running service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Whether it does everything but send.
    pub dry_run: bool,
    /// Kill switches that are on.
    pub kill_switches: Vec<KillSwitch>,
    /// Where its jobs come from.
    pub queue: QueueReport,
    /// Its accounts, by name.
    pub accounts: Vec<AccountReport>,
    /// Executions by state, of all time.
    pub executions: Vec<(String, u64)>,
    /// Executions under way now.
    pub in_hand: usize,
}

/// The queue of jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueReport {
    /// `database` or `redis`.
    pub backend: String,
    /// `starting`, `connected`, `lost` (no jobs can be taken; live rules go on) or `off` (a dry run
    /// takes none).
    pub state: String,
    /// What is wrong, while it is lost.
    pub cause: Option<String>,
    /// Milliseconds since it was lost.
    pub lost_ms: Option<u64>,
    /// Whether somebody has paused it: then nothing is handed out.
    pub paused: bool,
    /// Jobs in hand, waiting or running.
    pub in_hand: usize,
    /// How often taking was resumed after an outage.
    pub resumptions: u64,
}

/// One account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountReport {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// The connection's state.
    pub state: String,
    /// Where its data comes from.
    pub transport: String,
    /// How often that changed.
    pub switches: u32,
    /// Satoshis free for new margin, as last read.
    pub balance: Option<Sats>,
    /// The last price.
    pub price: Option<Price>,
    /// Milliseconds since any source confirmed it.
    pub price_age_ms: Option<u64>,
    /// Milliseconds since the book was confirmed.
    pub book_age_ms: Option<u64>,
    /// Its running trades.
    pub positions: Vec<PositionReport>,
}

/// One running trade.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PositionReport {
    /// The trade's id.
    pub id: String,
    /// Long or short.
    pub side: Side,
    /// Size in USD.
    pub quantity: Usd,
    /// Margin in satoshis.
    pub margin: Sats,
    /// Effective leverage.
    pub leverage: f64,
    /// Liquidation price.
    pub liquidation: Price,
    /// Distance to it as a fraction of the price.
    pub distance: Option<f64>,
    /// Share of the margin that is lost.
    pub margin_used: Option<f64>,
}

impl StatusReport {
    /// Looks at everything.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn of(shared: &Shared) -> Result<Self, JournalError> {
        let counts = shared.journal.counts().await?;
        let accounts = shared.accounts.load_full();
        let mut accounts: Vec<_> = accounts
            .values()
            .map(|account| AccountReport::of(shared, account))
            .collect();
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: shared.clock.mono().as_secs(),
            dry_run: shared.dry_run,
            kill_switches: shared.store.kill_switches().await?.rows,
            queue: QueueReport::of(shared),
            accounts,
            executions: State::ALL
                .into_iter()
                .map(|state| (state.as_str().to_owned(), counts.of(state)))
                .collect(),
            in_hand: shared.in_hand.len(),
        })
    }
}

impl QueueReport {
    /// Looks at it.
    pub(super) fn of(shared: &Shared) -> Self {
        let health = shared.jobs_health.borrow().clone();
        let trouble = health.link.trouble();
        let lost = trouble.map(|(_, since)| (shared.clock.utc() - since).num_milliseconds());
        let state = if shared.dry_run {
            "off"
        } else {
            health.link.as_str()
        };
        Self {
            backend: shared.jobs.backend().to_owned(),
            state: state.to_owned(),
            cause: trouble.map(|(cause, _)| cause.to_owned()),
            lost_ms: lost.and_then(|ms| u64::try_from(ms).ok()),
            paused: health.paused,
            in_hand: health.in_hand,
            resumptions: health.resumptions,
        }
    }
}

impl AccountReport {
    fn of(shared: &Shared, account: &Account) -> Self {
        let (view, now) = (account.view.load(), shared.clock.mono());
        let seen = account.network.price.seen(now);
        let ms = |age: std::time::Duration| age.as_millis() as u64;
        let price = seen.map(|seen| seen.price);
        let positions = view.rows.iter().map(|row| {
            let position = &row.position;
            PositionReport {
                id: position.id.to_string(),
                side: position.side,
                quantity: position.quantity,
                margin: position.margin,
                leverage: position.leverage,
                liquidation: position.liquidation,
                distance: price.map(|at| maths::liquidation_distance(position, at)),
                margin_used: price
                    .map(|at| maths::margin_used(position, at))
                    .filter(|used| used.is_finite()),
            }
        });
        Self {
            id: account.tag.id.to_string(),
            name: account.tag.name.to_string(),
            network: account.network.network.name.clone(),
            state: view.health.to_string(),
            transport: view.transport.to_string(),
            switches: view.switches,
            balance: view.balance,
            price,
            price_age_ms: seen.map(|seen| ms(seen.age)),
            book_age_ms: view.read_at.map(|at| ms(now.saturating_sub(at))),
            positions: positions.collect(),
        }
    }
}
