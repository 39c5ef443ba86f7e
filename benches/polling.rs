//! What an account costs while no socket is to be had: requests per minute at rest, near a trigger, and
//! in danger: `cargo bench --profile fast --bench polling`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use stage::owners::guarding;
use stage::{CALM, DANGER, Stage};
use vigia::simulator::Fault;

const ACCOUNTS: usize = 5;
/// All windows of time are so much shorter than the service's own.
const SCALE: i64 = 10;
/// A minute, shortened.
const MINUTE: Duration = Duration::from_millis(60_000 / SCALE as u64);
/// Nearness is looked at every 500 ms, which is not shortened.
const SETTLED: Duration = Duration::from_millis(1_000);
/// Within 1 % of the level of the guard, at 93,458 USD.
const NEAR: f64 = 94_200.0;
/// Too little to end the danger.
const DROP_OF_MARGIN: i64 = 1_000;
/// Requests without a key: one for all accounts together.
const PUBLIC: &str = "ticker";

/// Requests of a shortened minute, by route.
async fn minute(stage: &Stage, price: f64) -> BTreeMap<String, u64> {
    stage.price(price).await;
    tokio::time::sleep(SETTLED).await;
    let before = stage.control.requests();
    tokio::time::sleep(MINUTE).await;
    let after = stage.control.requests();
    let counts = after.by_route.iter().map(|(route, count)| {
        let counted = count - before.of(route);
        (route.clone(), counted)
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

async fn bench() {
    let windows = [
        ("limits.second_ms", 1_100 / SCALE),
        ("connection.read_near_ms", 1_000 / SCALE),
        ("connection.read_far_ms", 30_000 / SCALE),
        ("connection.failing_ms", 5_000 / SCALE),
        ("connection.stuck_ms", 30_000 / SCALE),
        ("price.quiet_ms", 2_000 / SCALE),
        ("price.ticker_period_ms", 1_000 / SCALE),
        ("price.blind_ms", 5_000 / SCALE),
        ("price.deaf_ms", 120_000 / SCALE),
        ("supervision.refresh_ms", 50),
    ];
    let refused = Fault::RefuseUpgrades { status: 503 };
    let stage = Stage::set(&windows, |exchange| {
        exchange.inject(refused).expect("a fault");
    })
    .await;
    stage.owners(ACCOUNTS, &guarding(DROP_OF_MARGIN)).await;
    let mut minutes = vec![];
    for price in [CALM, NEAR, DANGER] {
        minutes.push(minute(&stage, price).await);
    }
    println!(
        "requests in a minute over HTTP alone, sockets refused; {ACCOUNTS} accounts; windows and the \
         minute shortened 1:{SCALE}\n"
    );
    println!(
        "{:<44} {:>8} {:>8} {:>8}",
        "for each account", "at rest", "near", "danger"
    );
    let mut routes: Vec<_> = minutes.iter().flat_map(BTreeMap::keys).collect();
    routes.sort();
    routes.dedup();
    let (public, private): (Vec<&String>, Vec<&String>) =
        routes.into_iter().partition(|route| route.contains(PUBLIC));
    let each = |wanted: &[&String], among: usize| {
        let count = |minute: &BTreeMap<String, u64>| -> f64 {
            let counts = wanted.iter().filter_map(|route| minute.get(*route));
            counts.sum::<u64>() as f64 / among as f64
        };
        let [rest, near, danger] = [0, 1, 2].map(|number| count(&minutes[number]));
        format!("{rest:>8.1} {near:>8.1} {danger:>8.1}")
    };
    for route in &private {
        println!("{:<44} {}", route, each(&[*route], ACCOUNTS));
    }
    println!("{:<44} {}", "together", each(&private, ACCOUNTS));
    println!("\nfor all accounts together, without a key");
    for route in &public {
        println!("{:<44} {}", route, each(&[*route], 1));
    }
    println!(
        "\nanswered with 429: {}; the exchange lets a key ask 300 times a minute",
        stage.control.requests().too_many()
    );
    stage.end().await;
}

fn main() {
    stage::run(bench());
}
