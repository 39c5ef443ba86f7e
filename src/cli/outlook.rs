//! Which rules would fire now: read over HTTP before anything runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use tokio::time::Instant;

use super::format::{percent, usd};
use crate::actors::NetworkShared;
use crate::app::Prepared;
use crate::domain::credentials::Credentials;
use crate::domain::ids::{AccountId, PositionId};
use crate::domain::maths;
use crate::domain::position::Position;
use crate::domain::rules::{Lineage, Rule, Subject};
use crate::domain::text::plain;
use crate::domain::units::Price;
use crate::exchange::{Class, ExchangeError, Running, Spend};
use crate::store::{Account, Automation};

/// Accounts read at once.
const AT_ONCE: usize = 16;
/// Accounts that are not read by then are said to be.
const WITHIN: Duration = Duration::from_secs(10);
/// All reading before the service starts: nobody is guarded meanwhile.
pub(super) const BEFORE_THE_START: Duration = Duration::from_secs(2);

/// What one account's reading says.
#[derive(Debug, Serialize)]
pub(super) struct Outlook {
    pub account: String,
    /// Why the account could not be read.
    pub error: Option<String>,
    pub rules: Vec<RuleOutlook>,
}

/// One rule for one position.
#[derive(Debug, Serialize)]
pub(super) struct RuleOutlook {
    pub automation: String,
    pub kind: &'static str,
    pub position: String,
    pub price: Price,
    /// Where it fires, the nearest such price; `None` where no price of the exchange reaches it.
    pub fires_at: Option<Price>,
    /// How far the price may move until then, as a fraction of it.
    pub away: Option<f64>,
    /// How far it is from firing to liquidation, as a fraction of the price where it fires.
    pub fires_before_liquidation: Option<f64>,
    pub fires_now: bool,
}

/// Reads all active accounts, those that can be read within `all_within`.
pub(super) async fn read(
    prepared: &Prepared,
    all_within: Option<Duration>,
) -> Result<Vec<Outlook>> {
    let end = all_within.and_then(|within| Instant::now().checked_add(within));
    let accounts: Vec<Account> = prepared.store.accounts().await?.rows;
    let accounts: Vec<_> = accounts
        .into_iter()
        .filter(|account| account.is_active)
        .collect();
    let mut rules: HashMap<AccountId, Vec<Automation>> = HashMap::new();
    for rule in prepared.store.automations(None).await?.rows {
        if rule.is_active && rule.live {
            rules.entry(rule.account_id.clone()).or_default().push(rule);
        }
    }
    let prices = prices(prepared, &accounts, end).await;
    let outlooks = stream::iter(accounts)
        .map(|account| {
            let rules = rules.remove(&account.id).unwrap_or_default();
            one(prepared, account, rules, &prices, end)
        })
        .buffered(AT_ONCE);
    Ok(outlooks.collect().await)
}

/// The last price of each network that is used.
async fn prices(
    prepared: &Prepared,
    accounts: &[Account],
    end: Option<Instant>,
) -> HashMap<String, Result<Price, String>> {
    let mut prices = HashMap::new();
    for account in accounts {
        let name = &account.network;
        if prices.contains_key(name) {
            continue;
        }
        let price = match prepared.networks.get(name) {
            Some(network) => in_time(end, price(prepared, network)).await,
            None => Err(format!("its network {name} is not configured")),
        };
        prices.insert(name.clone(), price);
    }
    prices
}

async fn price(prepared: &Prepared, network: &Arc<NetworkShared>) -> Result<Price, String> {
    const TRIES: u32 = 3;
    let mut refusal = String::new();
    for _ in 0..TRIES {
        // Counted, so that the price feed does not ask again within the same second.
        let _held = loop {
            let spent = network
                .public_rate
                .spend(Spend::Read, prepared.clock.mono());
            match spent {
                Ok(allowance) => break allowance,
                Err(free_at) => {
                    tokio::time::sleep_until(prepared.clock.instant(free_at)).await;
                }
            }
        };
        match network.rest.ticker().await {
            Ok(ticker) => return Ok(ticker.last),
            Err(error) if error.is_retryable() => refusal = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(refusal)
}

async fn one(
    prepared: &Prepared,
    account: Account,
    rules: Vec<Automation>,
    prices: &HashMap<String, Result<Price, String>>,
    end: Option<Instant>,
) -> Outlook {
    let reading = read_one(prepared, &account, rules, prices);
    let (rules, error) = match in_time(end, reading).await {
        Ok(rules) => (rules, None),
        Err(error) => (vec![], Some(error)),
    };
    Outlook {
        account: account.name,
        error,
        rules,
    }
}

/// What is read within [`WITHIN`], and before `end`.
async fn in_time<T>(
    end: Option<Instant>,
    reading: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let own = Instant::now() + WITHIN;
    let end = end.map_or(own, |end| end.min(own));
    match tokio::time::timeout_at(end, reading).await {
        Ok(read) => read,
        Err(_) => Err("it was not read in time".to_owned()),
    }
}

async fn read_one(
    prepared: &Prepared,
    account: &Account,
    rules: Vec<Automation>,
    prices: &HashMap<String, Result<Price, String>>,
) -> Result<Vec<RuleOutlook>, String> {
    let price = match prices.get(&account.network) {
        Some(price) => price.clone()?,
        None => return Err("its network has no price".to_owned()),
    };
    let network = prepared
        .networks
        .get(&account.network)
        .ok_or("its network is not configured")?;
    let who = prepared
        .store
        .credentials(&account.id)
        .await
        .map_err(|error| error.to_string())?;
    let positions = positions(network, &who)
        .await
        .map_err(|error| error.to_string())?;
    let mut outlooks = vec![];
    for stored in rules {
        let rule = stored.rule().map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            format!("automation {}: {}", stored.id, errors.join("; "))
        })?;
        let outlook = |subject| of_rule(&stored, &rule, subject, price);
        if rule.is_entry() {
            outlooks.push(outlook(Subject::Market));
        }
        let lineage = Lineage::default();
        let its_own = positions
            .iter()
            .filter(|position| rule.is_for(position, &lineage));
        outlooks.extend(its_own.map(|position| outlook(position.into())));
    }
    Ok(outlooks)
}

/// Running trades, and the cross position if the key may see it.
async fn positions(
    network: &NetworkShared,
    who: &Credentials,
) -> Result<Vec<Position>, ExchangeError> {
    let mut positions = network.rest.running(who).await.and_then(Running::whole)?;
    match network.rest.cross_position(who).await {
        Ok(cross) => positions.extend(cross.position),
        Err(error) if error.class == Class::ScopeMissing => {}
        Err(error) => return Err(error),
    }
    Ok(positions)
}

fn of_rule(stored: &Automation, rule: &Rule, subject: Subject<'_>, price: Price) -> RuleOutlook {
    let level = rule.level(subject);
    let away = |at: Price| (price.usd() - at.usd()).abs() / price.usd();
    let edges = [level.at_or_below, level.at_or_above];
    let nearest = |one: &Price, two: &Price| away(*one).total_cmp(&away(*two));
    let fires_at = edges.into_iter().flatten().min_by(nearest);
    let (position, before_liquidation) = match subject {
        Subject::Market => (PositionId::MARKET, None),
        Subject::Position(position) => {
            let distance = |at| maths::liquidation_distance(position, at);
            (position.id, fires_at.map(distance))
        }
    };
    RuleOutlook {
        automation: stored.id.to_string(),
        kind: rule.kind().as_str(),
        position: position.to_string(),
        price,
        fires_at,
        away: fires_at.map(away),
        fires_before_liquidation: before_liquidation,
        fires_now: rule.is_reached(subject, price),
    }
}

impl RuleOutlook {
    fn place(&self) -> String {
        if self.position == PositionId::MARKET.to_string() {
            return "the market".to_owned();
        }
        format!("position {}", self.position)
    }
}

impl Outlook {
    /// The outlook as lines for people.
    pub fn lines(&self) -> Vec<String> {
        self.told().iter().map(|line| plain(line)).collect()
    }

    fn told(&self) -> Vec<String> {
        if let Some(error) = &self.error {
            return vec![format!("{}: cannot be read: {error}", self.account)];
        }
        if self.rules.is_empty() {
            return vec![format!("{}: nothing to watch", self.account)];
        }
        let line = |rule: &RuleOutlook| {
            let when = match (rule.fires_now, rule.fires_at, rule.away) {
                (true, ..) => "FIRES NOW".to_owned(),
                (false, Some(at), Some(away)) => {
                    format!("fires at {} ({} away)", usd(at.usd()), percent(away))
                }
                _ => "fires at no price of the exchange".to_owned(),
            };
            format!(
                "{}: {} {} on {}: {when}",
                self.account,
                rule.kind,
                rule.automation,
                rule.place()
            )
        };
        self.rules.iter().map(line).collect()
    }
}
