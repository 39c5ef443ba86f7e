//! 50 busy accounts before an exchange that enforces its limits: never a 429 of our own making.

use std::time::Duration;

use serde_json::json;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{LedgerKind, LedgerSource, Limits};

use crate::stage::{CALM, Stage, long};

const ACCOUNTS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);

#[actix::test]
async fn fifty_busy_accounts_never_ask_too_much() {
    let soak = Duration::from_secs(if long() { 600 } else { 60 });
    let mut stage = Stage::set(Limits::exchange(), "").await;
    for n in 0..ACCOUNTS {
        let owner = stage.owner(&format!("busy-{n}")).await;
        stage.open(&owner, 10_000, 20.0).await;
        stage.open(&owner, 5_000, 15.0).await;
        // Every other one is never satisfied.
        let cooldown = if n % 2 == 0 { 0 } else { 2 };
        let guard = json!({
            "action": "add_margin", "add_margin_amount": 300, "cooldown_seconds": cooldown,
            "metric": "liquidation_distance", "margin_threshold": 0.03,
        });
        stage.automation(&owner, RuleKind::MarginGuard, guard).await;
        let stops = json!({
            "action": "update_tp", "new_takeprofit": 150_000 + n, "trigger_pnl_percentage": 10,
            "pnl_basis": "margin", "cooldown_seconds": 1,
        });
        stage.automation(&owner, RuleKind::TpSl, stops).await;
        let entry = json!({
            "side": "buy", "quantity": 100, "leverage": 3, "trigger_price": 97_600,
            "max_entries": 3,
        });
        stage.automation(&owner, RuleKind::AutoEntry, entry).await;
    }
    stage.owners_have_rested().await;
    stage.start().await;
    stage
        .until("all are live", PATIENCE, || stage.live() == ACCOUNTS)
        .await;
    let began = stage.clock.mono();
    let mut step = 0;
    while stage.clock.mono() - began < soak {
        // Down to where all are in danger, and back, every ten seconds.
        let phase = f64::from(step % 100) / 100.0;
        let depth = 1.0 - (phase * 2.0 - 1.0).abs();
        stage.control.set_price(CALM - 2_800.0 * depth).unwrap();
        step += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ledger = stage.control.ledger();
    let of = |kind| {
        let ours = ledger
            .iter()
            .filter(|entry| entry.source == LedgerSource::Api && entry.kind == kind);
        ours.count()
    };
    let requests = |n: usize| stage.control.requests_of(&format!("busy-{n}"));
    let all: u64 = (0..ACCOUNTS).map(requests).sum();
    let most = (0..ACCOUNTS).map(requests).max().unwrap();
    let filled = of(LedgerKind::Filled) - 2 * ACCOUNTS;
    println!(
        "{ACCOUNTS} busy accounts for {soak:?}: {all} requests, {most} of the busiest key; {} margin \
         added, {} take-profits, {filled} entries; answers with 429: {}; {:?}",
        of(LedgerKind::MarginAdded),
        of(LedgerKind::TakeprofitSet),
        stage.control.requests().too_many(),
        stage.control.violations()
    );
    stage.no_violation();
    assert!(of(LedgerKind::MarginAdded) > 10 * ACCOUNTS, "busy");
    assert!(of(LedgerKind::TakeprofitSet) > 0 && filled > 0);
    assert!(most as f64 > 2.0 * soak.as_secs_f64(), "the limit was felt");
    stage.stop().await;
    stage.no_violation();
}
