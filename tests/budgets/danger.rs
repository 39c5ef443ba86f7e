//! 50 endangered trades of one key, five requests a second: the nearest to liquidation go first.

use std::time::Duration;

use serde_json::json;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{LedgerKind, Limits};

use crate::best;
use crate::stage::{CALM, Stage};

const TRADES: usize = 50;
const A_SECOND: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// USD between the liquidations of two trades.
const APART: f64 = 100.0;
/// The price falls by so much every second: more trades are lost in one than can be saved.
const FALL: f64 = 700.0;
/// The first of them is liquidated there.
const FIRST: f64 = 98_500.0;

/// The leverage with which a long of the exchange is liquidated about there.
fn leverage_for(liquidation: f64) -> f64 {
    1.0 / (CALM / liquidation - 1.0)
}

#[actix::test]
async fn of_fifty_endangered_trades_as_many_are_saved_as_can_be() {
    let mut stage = Stage::set(Limits::exchange(), "[supervision]\nrefresh_ms = 100\n").await;
    let owner = stage.owner("one-key").await;
    let mut liquidations = vec![];
    for n in 0..TRADES {
        if n > 0 && n % A_SECOND == 0 {
            stage.owners_have_rested().await;
        }
        // Not in the order of their danger.
        let rank = (n * 17) % TRADES;
        let leverage = leverage_for(FIRST - rank as f64 * APART);
        let trade = stage.open(&owner, 1_000, leverage).await;
        liquidations.push(trade.liquidation.usd());
    }
    stage.owners_have_rested().await;
    stage.start().await;
    let known = || stage.view(&owner).rows.len() == TRADES;
    let served = || stage.accounts().len() == 1 && known();
    stage.until("all trades are known", PATIENCE, served).await;
    // What a start reads beside them is over: from now on they are read once a second.
    tokio::time::sleep(Duration::from_secs(4)).await;

    // All are in danger from the first moment on.
    let guard = json!({
        "action": "add_margin", "add_margin_amount": 500_000,
        "metric": "liquidation_distance", "margin_threshold": 0.2,
    });
    stage.automation(&owner, RuleKind::MarginGuard, guard).await;
    let added = || {
        let ledger = stage.control.ledger();
        let added = ledger
            .iter()
            .filter(|entry| entry.kind == LedgerKind::MarginAdded);
        added.count()
    };
    // What was read within the second before takes places of the first second.
    let mut reads = vec![];
    let mut asked = stage.control.requests_of("one-key");
    let look = || {
        let now = stage.control.requests_of("one-key");
        let more = now - std::mem::replace(&mut asked, now);
        reads.extend((0..more).map(|_| stage.clock.mono()));
        added() > 0
    };
    stage.until("the first is saved", PATIENCE, look).await;
    let first = stage.clock.mono();
    reads.truncate(reads.len() - added());
    let second = Duration::from_secs(1);
    let taken = reads.iter().map(|at| *at + second).filter(|at| *at > first);
    let mut places: Vec<_> = taken.collect();
    places.resize(A_SECOND, first);
    // The price falls between two seconds of the budget, so that neither gains by being early.
    let mut falls = vec![];
    let mut price = FIRST + 400.0;
    let mut at = first + Duration::from_millis(800);
    let lowest = FIRST - TRADES as f64 * APART - FALL;
    while price > lowest {
        tokio::time::sleep_until(stage.clock.instant(at)).await;
        price -= FALL;
        stage.control.set_price(price).unwrap();
        falls.push((stage.clock.mono(), price));
        at += second;
    }
    let end = stage.clock.mono();
    let lost_at: Vec<_> = liquidations
        .iter()
        .map(|level| {
            let below = falls.iter().find(|(_, price)| price <= level);
            below.map_or(end, |(at, _)| *at)
        })
        .collect();
    let best = best::saved(&lost_at, &places, end);
    let trades = stage.control.account("one-key").unwrap().trades;
    let saved = trades.iter().filter(|trade| trade.running).count();
    let counts = stage.control.requests();
    println!(
        "{TRADES} endangered trades of one key, {A_SECOND} requests a second, {} of the first taken by \
         reads, price from {FIRST} to {price}: {saved} saved, the best order saves {best}; {} requests, of them {} reads",
        places.iter().filter(|at| **at > first).count(),
        stage.control.requests_of("one-key") - TRADES as u64,
        counts.of("GET /futures/isolated/trades/running"),
    );
    assert!(best < TRADES, "not all can be saved");
    assert!(saved + 1 >= best, "{saved} saved, {best} could be");
    stage.no_violation();
    stage.stop().await;
}
