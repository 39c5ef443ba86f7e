//! A thousand sockets are lost, and what is opened in their place stays within the budget.

use std::time::Duration;

use crate::fleet::{HUNDREDTH, hundredth};
use crate::stage::{Stage, long};

const ACCOUNTS: usize = 200;
const DROPS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(150);

/// From two addresses, of which each opens 500 in an hour; over one with `VIGIA_LONG`.
#[actix::test]
async fn a_thousand_drops_never_exceed_the_budget() {
    let egress: &[&str] = if long() {
        &["127.0.0.1"]
    } else {
        &["127.0.0.1", "127.0.0.2"]
    };
    let config = format!(
        "[limits]\negress = {egress:?}\n{HUNDREDTH}[connection]\nread_far_ms = 5000\n\
         reconnect_first_ms = 20\nreconnect_longest_ms = 200\n"
    );
    let mut stage = Stage::set(hundredth(), &config).await;
    for n in 0..ACCOUNTS {
        stage.owner(&format!("account-{n}")).await;
    }
    stage.start().await;
    stage
        .until("all are live", PATIENCE, || stage.live() == ACCOUNTS)
        .await;
    let (mut dropped, mut rounds, mut most) = (0, 0, 0);
    let began = stage.clock.mono();
    while dropped < DROPS {
        stage
            .until("sockets come back", PATIENCE, || stage.over_sockets() > 0)
            .await;
        let open = stage.control.drop_sockets(None);
        most = most.max(open);
        dropped += open;
        rounds += 1;
        assert_eq!(stage.live(), ACCOUNTS, "all are served meanwhile");
    }
    let took = stage.clock.mono() - began;
    stage.no_violation();
    println!(
        "{dropped} sockets of {ACCOUNTS} accounts dropped in {rounds} rounds within {took:.1?} \
         (windows 1:100, {} addresses, {most} open at once at most): {:?}",
        egress.len(),
        stage.control.violations()
    );
    let all = 30 * egress.len();
    stage
        .until("all places are used again", PATIENCE, || {
            stage.over_sockets() == all
        })
        .await;
    stage.no_violation();
    stage.stop().await;
}
