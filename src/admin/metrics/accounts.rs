//! Accounts: all of them in numbers, and the most endangered one by one. How many have figures of
//! their own is `metrics.accounts`: series cost memory wherever they are stored.

use std::time::Duration;

use super::page::{Labels, Page, label};
use crate::actors::{Account, Shared};
use crate::admin::report::{breathe, by_danger, distance, summary};
use crate::domain::connection::{Health, Transport};
use crate::domain::maths;

pub(super) async fn figures(page: &mut Page, shared: &Shared) {
    let ranked = by_danger(shared).await;
    let all = summary(shared, ranked.iter().map(|(_, account)| &**account));
    let states = page.gauge("vigia_accounts", "Accounts in each state.");
    for (state, count) in all.states {
        states.is(label("state", state), count as f64);
    }
    let transports = page.gauge(
        "vigia_accounts_transport",
        "Accounts that are served over each transport.",
    );
    for (transport, count) in all.transports {
        transports.is(label("transport", transport), count as f64);
    }
    page.gauge("vigia_positions", "Positions of all accounts.")
        .is(vec![], all.positions as f64);
    let listed = ranked.len().min(shared.tuning.metrics_accounts);
    page.gauge(
        "vigia_accounts_unlisted",
        "Accounts that have no figures of their own: the least endangered.",
    )
    .is(vec![], (ranked.len() - listed) as f64);
    head(page);
    for (index, (_, account)) in ranked.iter().take(listed).enumerate() {
        one(page, shared, account);
        breathe(index).await;
    }
}

const STATE: (&str, &str) = ("vigia_account_state", "1 for the account's present state.");
const LIVE: (&str, &str) = ("vigia_account_live", "1 when the account is live.");
const WEBSOCKET: (&str, &str) = (
    "vigia_account_websocket",
    "1 when the account is served over its socket, 0 over HTTP.",
);
const BOOK_AGE: (&str, &str) = (
    "vigia_account_book_age_seconds",
    "Since the account's book was confirmed.",
);
const POSITIONS: (&str, &str) = ("vigia_account_positions", "The account's positions.");
const LIQUIDATION: (&str, &str) = (
    "vigia_account_liquidation_distance_ratio",
    "From the price to the nearest liquidation, as a fraction of the price.",
);
const TRIGGER: (&str, &str) = (
    "vigia_account_trigger_distance_ratio",
    "From the price to the nearest armed level, as a fraction of the price.",
);
const MARGIN_USED: (&str, &str) = (
    "vigia_account_margin_used_ratio",
    "Share of the margin that is lost, of the position that has lost most.",
);
const BALANCE: (&str, &str) = (
    "vigia_account_balance_sats",
    "Satoshis free for new margin, as last read.",
);
const WAITING: (&str, &str) = (
    "vigia_account_executions_waiting",
    "The account's executions that have not ended.",
);
const RESTARTS: (&str, &str) = (
    "vigia_account_restarts",
    "How often the account's connection was started again after a death.",
);

/// All families stand in the text, also while there is no account.
fn head(page: &mut Page) {
    for (name, help) in [
        STATE,
        LIVE,
        WEBSOCKET,
        BOOK_AGE,
        POSITIONS,
        LIQUIDATION,
        TRIGGER,
        MARGIN_USED,
        BALANCE,
        WAITING,
        RESTARTS,
    ] {
        page.gauge(name, help);
    }
}

fn one(page: &mut Page, shared: &Shared, account: &Account) {
    let (view, now) = (account.view.load(), shared.clock.mono());
    let price = account.network.price.seen(now).map(|seen| seen.price);
    let tag = &account.tag;
    let of: Labels = vec![
        ("account_id", tag.id.to_string()),
        ("account_name", tag.name.to_string()),
    ];
    let mut is = |(name, help): (&'static str, &'static str), value: Option<f64>| {
        if let Some(value) = value {
            page.gauge(name, help).is(of.clone(), value);
        }
    };
    let yes = |yes: bool| Some(f64::from(u8::from(yes)));
    is(LIVE, yes(view.health == Health::Live));
    is(WEBSOCKET, yes(view.transport == Transport::Websocket));
    let age = |at: Duration| now.saturating_sub(at).as_secs_f64();
    is(BOOK_AGE, view.read_at.map(age));
    is(POSITIONS, Some(view.rows.len() as f64));
    let rows = || view.rows.iter().map(|row| &row.position);
    if let Some(at) = price {
        let nearest = rows().map(|position| maths::liquidation_distance(position, at));
        is(LIQUIDATION, nearest.min_by(f64::total_cmp));
        let used = rows().map(|position| maths::margin_used(position, at));
        is(MARGIN_USED, used.max_by(f64::total_cmp));
        let watches = account.watches.all();
        let armed = watches.iter().flat_map(|watched| {
            let positions = watched.positions();
            let stances: Vec<_> = positions.iter().map(|armed| armed.stance()).collect();
            stances
        });
        let armed = armed.filter(|stance| stance.phase == "armed");
        let distances = armed.filter_map(|stance| distance(stance.level, at));
        is(TRIGGER, distances.min_by(f64::total_cmp));
    }
    is(BALANCE, view.balance.map(|sats| sats.0 as f64));
    let metrics = shared.events.metrics();
    let waiting = metrics.pool.by_account.load();
    let waiting = waiting.get(&tag.id).copied().unwrap_or_default();
    is(WAITING, Some(waiting as f64));
    let life = metrics.lives.of(&format!("connection/{}", tag.name));
    is(RESTARTS, Some(life.restarts as f64));
    let mut of = of.clone();
    of.extend(label("state", view.health));
    page.gauge(STATE.0, STATE.1).is(of, 1.0);
}
