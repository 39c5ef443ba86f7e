//! One account: its connection, its positions, and what waits for which price.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::parts::LifeReport;
use crate::actors::{Account, Armed, Row, Shared, Watched};
use crate::domain::ids::PositionId;
use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::Side;
use crate::domain::units::{Price, Sats, Usd};
use crate::journal::Usage;
use crate::store::Pause;

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
    /// The pause that holds it back, if there is one and the store answered.
    pub paused: Option<Pause>,
    /// What may be done for it today, what of it was, and how many executions have failed in a row;
    /// `null` where the store did not answer.
    pub protections: Option<Usage>,
    /// The life of the connection.
    pub connection: LifeReport,
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
    /// Executions that have not ended; up to a second old.
    pub executions_waiting: usize,
    /// How the latest execution ended, since the start.
    pub last_execution: Option<LastReport>,
    /// Its automations that are live.
    pub automations: Vec<AutomationReport>,
    /// Its running trades.
    pub positions: Vec<PositionReport>,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastReport {
    /// The execution.
    pub execution: String,
    /// Its automation.
    pub automation: String,
    /// Its position.
    pub position: String,
    /// What it did, or was to do.
    pub action: String,
    /// `done`, `failed`, `uncertain` or `skipped`.
    pub state: String,
    /// Why, where it did not do it.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// One automation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutomationReport {
    /// Its id.
    pub id: String,
    /// The kind of its rule.
    pub kind: String,
    /// Which version of it.
    pub rule_version: i64,
    /// Its life. Where its connection is not there, neither is it: `stopped`.
    #[serde(flatten)]
    pub life: LifeReport,
    /// What it waits for that is no matter of a position: an entry's price.
    pub market: Option<WatchReport>,
}

/// Where one automation stands for one position, or for the market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchReport {
    /// `opening`, `armed`, `firing`, `fired`, `resting`, `spent`, `limited` or `completed`.
    pub phase: String,
    /// The number of the episode.
    pub episode: i64,
    /// Until when the phase lasts at the least, where that is known.
    pub until: Option<DateTime<Utc>>,
    /// Armed: fires at this price and below. Spent: armed again at this price and below.
    pub at_or_below: Option<Price>,
    /// The same, at this price and above.
    pub at_or_above: Option<Price>,
    /// How far the nearer of the two is from the last price, as a fraction of that; 0 where it is
    /// reached.
    pub distance: Option<f64>,
}

/// What one automation waits for, for one position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelReport {
    /// The automation.
    pub automation: String,
    /// The kind of its rule.
    pub kind: String,
    /// Where it stands.
    #[serde(flatten)]
    pub watch: WatchReport,
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
    /// What waits for which price.
    pub levels: Vec<LevelReport>,
}

/// Of an automation whose connection is not there.
const STOPPED: &str = "stopped";

impl AccountReport {
    pub(super) fn of(
        shared: &Shared,
        account: &Account,
        paused: Option<Pause>,
        protections: Option<Usage>,
    ) -> Self {
        let (view, now) = (account.view.load(), shared.clock.mono());
        let metrics = shared.events.metrics();
        let seen = account.network.price.seen(now);
        let ms = |age: Duration| age.as_millis() as u64;
        let price = seen.map(|seen| seen.price);
        let watches = account.watches.all();
        let actor = format!("connection/{}", account.tag.name);
        let waiting = metrics.pool.by_account.load();
        let positions = view.rows.iter();
        let automations = watches.iter();
        Self {
            id: account.tag.id.to_string(),
            name: account.tag.name.to_string(),
            network: account.network.network.name.clone(),
            state: view.health.to_string(),
            paused,
            protections,
            connection: metrics.lives.of(&actor).into(),
            transport: view.transport.to_string(),
            switches: view.switches,
            balance: view.balance,
            price,
            price_age_ms: seen.map(|seen| ms(seen.age)),
            book_age_ms: view.read_at.map(|at| ms(now.saturating_sub(at))),
            executions_waiting: waiting.get(&account.tag.id).copied().unwrap_or_default(),
            last_execution: last(shared, account),
            automations: automations
                .map(|watched| automation(shared, watched, price))
                .collect(),
            positions: positions
                .map(|row| position(row, price, levels(&watches, row.position.id, price)))
                .collect(),
        }
    }
}

fn last(shared: &Shared, account: &Account) -> Option<LastReport> {
    let last = shared.events.metrics().last_execution(&account.tag.id)?;
    Some(LastReport {
        execution: last.execution.to_string(),
        automation: last.automation.to_string(),
        position: last.position.to_string(),
        action: last.action.to_owned(),
        state: last.state.as_str().to_owned(),
        reason: last.reason,
        at: last.at,
    })
}

fn automation(shared: &Shared, watched: &Watched, price: Option<Price>) -> AutomationReport {
    let id = watched.plan.id.to_string();
    let life = shared
        .events
        .metrics()
        .lives
        .of(&format!("automation/{id}"));
    let mut life = LifeReport::from(life);
    if !watched.is_present() && life.state == "running" {
        STOPPED.clone_into(&mut life.state);
    }
    let positions = watched.positions();
    let market = positions
        .iter()
        .find(|armed| armed.position == PositionId::MARKET);
    AutomationReport {
        id,
        kind: watched.plan.rule.kind().to_string(),
        rule_version: watched.plan.rule_version,
        life,
        market: market.map(|armed| watch(armed, price)),
    }
}

fn levels(
    watches: &[std::sync::Arc<Watched>],
    id: PositionId,
    price: Option<Price>,
) -> Vec<LevelReport> {
    let of = |watched: &std::sync::Arc<Watched>| {
        let positions = watched.positions();
        let armed = positions.iter().find(|armed| armed.position == id)?;
        Some(LevelReport {
            automation: watched.plan.id.to_string(),
            kind: watched.plan.rule.kind().to_string(),
            watch: watch(armed, price),
        })
    };
    watches.iter().filter_map(of).collect()
}

fn watch(armed: &Armed, price: Option<Price>) -> WatchReport {
    let stance = armed.stance();
    WatchReport {
        phase: stance.phase.to_owned(),
        episode: stance.episode,
        until: stance.until,
        at_or_below: stance.level.at_or_below,
        at_or_above: stance.level.at_or_above,
        distance: price.and_then(|at| distance(stance.level, at)),
    }
}

/// How far a level is from the price, as a fraction of the price; 0 where it is reached, none where
/// there is no level.
pub(in crate::admin) fn distance(level: Level, at: Price) -> Option<f64> {
    if level.is_reached(at) {
        return Some(0.0);
    }
    let sides = [level.at_or_below, level.at_or_above].into_iter().flatten();
    let distances = sides.map(|side| (side.usd() - at.usd()).abs() / at.usd());
    distances.min_by(f64::total_cmp)
}

fn position(row: &Row, price: Option<Price>, levels: Vec<LevelReport>) -> PositionReport {
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
        levels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_side_counts_and_a_reached_level_is_no_distance_away() {
        let price = |usd| Price::from_usd(usd).unwrap();
        let level = Level {
            at_or_below: Some(price(95_000.0)),
            at_or_above: Some(price(110_000.0)),
        };
        assert_eq!(distance(level, price(100_000.0)), Some(0.05));
        assert_eq!(distance(level, price(94_000.0)), Some(0.0));
        assert_eq!(distance(Level::default(), price(94_000.0)), None);
    }
}
