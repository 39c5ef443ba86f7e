//! How often an account is asked for over HTTP: seldom at rest, often where it matters.

use std::time::Duration;

use serde_json::json;
use vigia::domain::connection::Transport;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Limit, Limits};

use crate::stage::{Stage, long};

const PATIENCE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

#[actix::test]
async fn an_account_is_read_as_often_as_its_danger_asks() {
    // All periods 1:5, unless there is time.
    let scale = if long() { 1 } else { 5 };
    let limit = |count| {
        let window = Duration::from_secs(1) / scale;
        Some(Limit { count, window })
    };
    let limits = Limits {
        rest_per_key: limit(5),
        rest_per_ip: limit(1),
        ..Limits::exchange()
    };
    // No sockets for accounts: the price feed's alone.
    let config = format!(
        "[limits]\nsockets = 2\nsecond_ms = {}\n[connection]\nread_near_ms = {}\nread_far_ms = {}\n",
        1000 / scale,
        1000 / scale,
        30_000 / scale
    );
    let mut stage = Stage::set(limits, &config).await;
    let (empty, rest) = (stage.owner("empty").await, stage.owner("rest").await);
    let (trigger, danger) = (stage.owner("trigger").await, stage.owner("danger").await);
    let closing = |distance: f64| {
        json!({
            "action": "close_position",
            "metric": "liquidation_distance", "margin_threshold": distance,
        })
    };
    // Liquidation is 33 %, 33 % and 1.3 % away; the second one's trigger 0.5 %.
    for (owner, leverage, distance) in [
        (&rest, 2.0, 0.1),
        (&trigger, 2.0, 0.33),
        (&danger, 75.0, 0.001),
    ] {
        let position = stage.open(owner, 1_000, leverage).await;
        let away = (100_000.0 - position.liquidation.usd()) / 100_000.0;
        println!("{}: liquidation {:.1} % away", owner.name, away * 100.0);
        stage
            .automation(owner, RuleKind::MarginGuard, closing(distance))
            .await;
    }
    stage.owners_have_rested().await;
    stage.start().await;
    stage
        .until("all are live", PATIENCE, || stage.live() == 4)
        .await;
    // What a start costs is no polling.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let owners = [&empty, &rest, &trigger, &danger];
    let asked = || owners.map(|owner| stage.control.requests_of(&owner.name));
    let before = asked();
    tokio::time::sleep(MINUTE / scale).await;
    let after = asked();
    let mut rates = [0; 4];
    for (n, what) in [
        "without positions",
        "at rest",
        "near a trigger",
        "in danger",
    ]
    .iter()
    .enumerate()
    {
        rates[n] = after[n] - before[n];
        println!(
            "requests per account and minute over HTTP, {what}: {} (periods 1:{scale})",
            rates[n]
        );
    }
    for owner in owners {
        assert_eq!(stage.view(owner).transport, Transport::Http);
    }
    // Trades, balance and cross margin: each every 30 s at rest; trades every second otherwise.
    assert!(rates[0] <= 7 && rates[1] <= 7, "{rates:?}");
    assert!(rates[2] >= 30 && rates[3] >= 30, "{rates:?}");
    assert!(rates[2] <= 66 && rates[3] <= 66, "{rates:?}");
    stage.no_violation();
    stage.stop().await;
}
