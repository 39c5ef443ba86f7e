//! 200 accounts behind one address: guarded within seconds over HTTP, sockets for the nearest to
//! liquidation, and no churn.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;
use vigia::domain::connection::{Health, Transport};
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Limit, Limits};
use vigia::supervision::failpoint::Place;
use vigia::telemetry::Event;

use crate::stage::{CALM, NETWORK, Owner, Stage};

const ACCOUNTS: usize = 200;
/// Of 32 sockets, one is the price feed's and one is kept for a successor.
const SOCKETS: usize = 30;
/// A loaded machine may take long; what is promised is printed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exchange's limits with hour and minute at 1:100.
pub fn hundredth() -> Limits {
    let limit = |count, ms| {
        Some(Limit {
            count,
            window: Duration::from_millis(ms),
        })
    };
    Limits {
        new_sockets_per_ip: limit(500, 36_000),
        authentications_per_ip: limit(20, 600),
        ..Limits::exchange()
    }
}

/// The same in the configuration.
pub const HUNDREDTH: &str =
    "minute_ms = 600\nhour_ms = 36000\nsocket_kept_ms = 6000\nsocket_lingers_ms = 1200\n";

fn config() -> String {
    format!(
        "[limits]\n{HUNDREDTH}[connection]\nread_far_ms = 3000\nreconnect_first_ms = 50\n\
         reconnect_longest_ms = 300\n"
    )
}

#[actix::test]
async fn two_hundred_accounts_are_guarded_and_the_nearest_get_the_sockets() {
    let mut stage = Stage::set(hundredth(), &config()).await;
    let mut owners = vec![];
    for n in 0..ACCOUNTS {
        let owner = stage.owner(&format!("account-{n}")).await;
        // Liquidation is 4 to 5 % away for the first, 17 to 33 % for the others.
        let leverage = if n < SOCKETS {
            20.0 + n as f64 / 6.0
        } else {
            2.0 + n as f64 / 70.0
        };
        stage.open(&owner, 10_000, leverage).await;
        let guard = json!({
            "action": "add_margin", "add_margin_amount": 10_000,
            "metric": "liquidation_distance", "margin_threshold": 0.005,
        });
        stage.automation(&owner, RuleKind::MarginGuard, guard).await;
        owners.push(owner);
    }
    stage.owners_have_rested().await;

    stage.start().await;
    let began = stage.clock.mono();
    let mut armed = 0;
    while armed < ACCOUNTS {
        assert!(stage.clock.mono() - began < PATIENCE, "{armed} are armed");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let heard = stage.heard();
        let opened = heard
            .iter()
            .filter(|one| matches!(one, Event::Armed { .. }));
        armed += opened.count();
    }
    let guarded = stage.clock.mono() - began;
    stage
        .until("all are live", PATIENCE, || stage.live() == ACCOUNTS)
        .await;
    let live = stage.clock.mono() - began;

    let nearest: HashSet<String> = owners[..SOCKETS]
        .iter()
        .map(|one| one.name.clone())
        .collect();
    stage
        .until("the nearest have sockets", PATIENCE, || {
            stage.logged_in() == nearest && stage.over_sockets() == SOCKETS
        })
        .await;
    let served = stage.clock.mono() - began;
    println!(
        "{ACCOUNTS} accounts: guarded after {guarded:.1?}, live after {live:.1?}, the {SOCKETS} \
         nearest to liquidation over sockets after {served:.1?} (20 logins a minute, windows 1:100)"
    );

    // Prices move a little, and everybody keeps what he has, longer than a socket is kept.
    let switches = |owners: &[Owner]| -> HashMap<String, u32> {
        let of = |owner: &Owner| (owner.name.clone(), stage.view(owner).switches);
        owners.iter().map(of).collect()
    };
    let before = switches(&owners);
    for n in 0..80 {
        stage
            .control
            .set_price(CALM + f64::from(n % 7) * 40.0)
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(switches(&owners), before, "no churn");
    assert_eq!(stage.logged_in(), nearest);

    // One of the others comes more than threefold as near: it takes the farthest one's.
    let newly = owners.last().unwrap().clone();
    stage.open(&newly, 1_000, 95.0).await;
    let took = stage
        .until("it has a socket", PATIENCE, || {
            stage.view(&newly).transport == Transport::Websocket
        })
        .await;
    let after = stage.logged_in();
    let lost: Vec<_> = nearest.difference(&after).collect();
    assert_eq!(lost.len(), 1, "one for one: {lost:?}");
    assert_eq!(lost[0], &owners[0].name, "the farthest");
    let moved = switches(&owners);
    let moved = owners
        .iter()
        .filter(|one| moved[&one.name] != before[&one.name]);
    assert_eq!(moved.count(), 2, "nobody else noticed");
    println!("an account that came near got its socket after {took:.1?}, for the farthest one's");
    assert_eq!(stage.live(), ACCOUNTS);
    stage.no_violation();
    stage.stop().await;
    stage.no_violation();
}

/// Where no place is free, a connection that is restarted goes live over HTTP.
#[actix::test]
async fn a_restarted_connection_goes_live_without_a_socket() {
    let limits = Limits {
        sockets_per_ip: Some(4),
        ..hundredth()
    };
    let mut stage = Stage::set(
        limits,
        &format!(
            "{}\n",
            config().replace("[limits]", "[limits]\nsockets = 4")
        ),
    )
    .await;
    let mut owners = vec![];
    for n in 0..5 {
        let owner = stage.owner(&format!("account-{n}")).await;
        let leverage = if n < 2 { 20.0 } else { 2.0 };
        stage.open(&owner, 10_000, leverage).await;
        owners.push(owner);
    }
    stage.owners_have_rested().await;
    stage.start().await;
    stage
        .until("two have sockets", PATIENCE, || stage.over_sockets() == 2)
        .await;
    let far = owners[4].clone();
    stage
        .until("it is live", PATIENCE, || {
            stage.view(&far).health == Health::Live
        })
        .await;
    stage.heard();
    let actor = format!("connection/{}", far.name);
    let crashed = stage.app().shared.clock.mono();
    stage.app().crash(&actor, Place::Handler);
    let mut restarted = false;
    let began = stage.clock.mono();
    while !restarted {
        assert!(stage.clock.mono() - began < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
        restarted = stage
            .heard()
            .iter()
            .any(|one| matches!(one, Event::ActorRestarted { actor: name, .. } if *name == actor));
    }
    stage
        .until("it is live again", PATIENCE, || {
            let view = stage.view(&far);
            view.health == Health::Live && view.read_at > Some(crashed)
        })
        .await;
    assert_eq!(stage.view(&far).transport, Transport::Http);
    assert_eq!(stage.over_sockets(), 2);
    let took = stage.app().shared.clock.mono() - crashed;
    println!("restarted without a free socket: live over HTTP {took:.0?} after its death");
    assert!(stage.app().shared.networks.contains_key(NETWORK));
    stage.no_violation();
    stage.stop().await;
}
