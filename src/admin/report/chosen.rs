//! Which accounts are shown: of a few all, of many those that somebody should look at.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actors::{Account, Readiness, Shared};
use crate::domain::connection::{Health, Transport};
use crate::domain::maths;

/// Up to so many accounts all are shown, unless somebody asks for one; above, those that are not
/// live, up to so many.
pub const SHOWN_ACCOUNTS: usize = 100;
/// Of more accounts than [`SHOWN_ACCOUNTS`], so many of the live ones: the nearest to liquidation.
const NEAREST: usize = 20;
/// After so many accounts others have their turn on the thread.
const BREATH: usize = 256;

/// Which accounts are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// All, however many there are.
    #[serde(default)]
    pub all: bool,
    /// The one with this name or id.
    #[serde(default)]
    pub account: Option<String>,
}

impl Choice {
    /// All accounts.
    pub fn all() -> Self {
        Self {
            all: true,
            account: None,
        }
    }
}

/// All accounts, in numbers. A number that another version does not tell is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// How many are served.
    pub accounts: usize,
    /// How many are in each state.
    pub states: BTreeMap<String, usize>,
    /// How many are served over each transport.
    pub transports: BTreeMap<String, usize>,
    /// Positions of all accounts.
    pub positions: usize,
    /// Trigger levels that stand at the price feeds.
    pub levels: u64,
    /// Actors that are set aside.
    pub quarantined: u64,
    /// Accounts that cannot be served: their network is not configured, or their credentials cannot be
    /// read.
    pub unusable: usize,
    /// Rows of accounts and automations that cannot be read, and rules that cannot be obeyed.
    pub unusable_rows: usize,
}

/// How much an account needs to be looked at; the greatest first. Whoever is not live is not guarded,
/// and goes first; then whoever is nearest to liquidation, in millionths of the price.
pub(in crate::admin) type Danger = (bool, Reverse<u64>);

const MILLIONTHS: f64 = 1e6;

/// How much an account needs to be looked at.
fn danger(shared: &Shared, account: &Account) -> Danger {
    let view = account.view.load();
    let seen = account.network.price.seen(shared.clock.mono());
    let distance = seen.and_then(|seen| {
        let rows = view.rows.iter();
        let distances = rows.map(|row| maths::liquidation_distance(&row.position, seen.price));
        distances.min_by(f64::total_cmp)
    });
    let distance = distance.map_or(u64::MAX, |share| (share.max(0.0) * MILLIONTHS) as u64);
    (view.health != Health::Live, Reverse(distance))
}

/// All accounts, the most endangered first.
pub(in crate::admin) async fn by_danger(shared: &Shared) -> Vec<(Danger, Arc<Account>)> {
    let accounts = shared.accounts.load_full();
    let mut ranked = Vec::with_capacity(accounts.len());
    for (index, account) in accounts.values().enumerate() {
        ranked.push((danger(shared, account), Arc::clone(account)));
        breathe(index).await;
    }
    ranked.sort_by(|(a, one), (b, other)| {
        let by_name = one.tag.name.cmp(&other.tag.name);
        b.cmp(a).then(by_name)
    });
    ranked
}

/// Lets others have their turn: of 10,000 accounts nobody is held up by all at once.
pub(in crate::admin) async fn breathe(index: usize) {
    if index % BREATH == BREATH - 1 {
        tokio::task::yield_now().await;
    }
}

pub(super) async fn choose(shared: &Shared, choice: &Choice) -> (Vec<Arc<Account>>, Summary) {
    let ranked = by_danger(shared).await;
    let summary = summary(shared, ranked.iter().map(|(_, account)| &**account));
    if let Some(wanted) = &choice.account {
        let is_it =
            |account: &Account| account.tag.id.as_str() == wanted || *account.tag.name == **wanted;
        let found = ranked.into_iter().map(|(_, account)| account);
        return (found.filter(|account| is_it(account)).collect(), summary);
    }
    if choice.all || ranked.len() <= SHOWN_ACCOUNTS {
        let all = ranked.into_iter().map(|(_, account)| account);
        return (all.collect(), summary);
    }
    let (not_live, live): (Vec<_>, Vec<_>) = ranked
        .into_iter()
        .partition(|((is_not_live, _), _)| *is_not_live);
    let not_live = not_live.into_iter().take(SHOWN_ACCOUNTS);
    let shown = not_live.chain(live.into_iter().take(NEAREST));
    (shown.map(|(_, account)| account).collect(), summary)
}

/// Counts accounts.
pub(in crate::admin) fn summary<'a>(
    shared: &Shared,
    accounts: impl Iterator<Item = &'a Account>,
) -> Summary {
    let zeros = |words: &[&str]| words.iter().map(|word| ((*word).to_owned(), 0)).collect();
    let lives = &shared.events.metrics().lives;
    let readiness = Readiness::of(shared);
    let mut summary = Summary {
        unusable: readiness.unusable,
        unusable_rows: readiness.unusable_rows,
        states: zeros(&Health::ALL.map(Health::as_str)),
        transports: zeros(&Transport::ALL.map(Transport::as_str)),
        levels: shared
            .networks
            .values()
            .map(|network| network.price.levels.read())
            .sum(),
        quarantined: lives.set_aside().values().sum(),
        ..Summary::default()
    };
    for account in accounts {
        let view = account.view.load();
        summary.accounts += 1;
        summary.positions += view.rows.len();
        if let Some(count) = summary.states.get_mut(view.health.as_str()) {
            *count += 1;
        }
        if let Some(count) = summary.transports.get_mut(view.transport.as_str()) {
            *count += 1;
        }
    }
    summary
}
